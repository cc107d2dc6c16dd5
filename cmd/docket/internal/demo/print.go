package demo

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/seed-53cf897a/docket/client"
)

func (s *scenario) printLine(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// printChapter begins a chapter of the story.
func (s *scenario) printChapter(title string) {
	s.printLine("")
	s.printLine("%s", title)
}

// Where the words of a step begin, and where those of a detail below it do.
const (
	stepColumn   = 23
	detailIndent = 2
)

// printStep tells one step: what, and in more words.
func (s *scenario) printStep(number, what, words string) {
	s.printWrapped(fmt.Sprintf("  %-6s %-13s ", number, what), words)
}

// printDetail tells more of the step before it.
func (s *scenario) printDetail(what, words string) {
	s.printWrapped(strings.Repeat(" ", stepColumn+detailIndent)+fmt.Sprintf("%-11s ", what), words)
}

// printOutcome prints a step and its outcome, on one line with dots between, or below each
// other where the terminal is too narrow for that.
func (s *scenario) printOutcome(what, words, result string) {
	const column = 46
	dotted := words
	if n := column - utf8.RuneCountInString(words) - 1; n > 1 {
		dotted += " " + strings.Repeat(".", n)
	}
	dotted += " " + result
	if s.width > 0 && stepColumn+utf8.RuneCountInString(dotted) > s.width {
		s.printStep("", what, words)
		s.printWrapped(strings.Repeat(" ", stepColumn+detailIndent), result)
		return
	}
	s.printStep("", what, dotted)
}

// printWrapped prints a head and words after it; what does not fit into the terminal goes on
// below the first word.
func (s *scenario) printWrapped(head, words string) {
	indent := utf8.RuneCountInString(head)
	line, used := head, indent
	for i, word := range strings.Split(words, " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case s.width > 0 && used+1+n > s.width:
			s.printLine("%s", line)
			line, used = strings.Repeat(" ", indent), indent
		default:
			line, used = line+" ", used+1
		}
		line, used = line+word, used+n
	}
	s.printLine("%s", line)
}

// expectRefused expects an error and tells it.
func (s *scenario) expectRefused(what, words string, err error) {
	if err == nil {
		s.unexpected++
		s.printOutcome(what, words, "ACCEPTED, and should have been refused")
		return
	}
	s.refusals++
	why := err.Error()
	var problem *client.Problem
	if errors.As(err, &problem) && len(problem.Faults) == 1 {
		why = problem.Faults[0].Detail
	}
	s.printOutcome(what, words, "refused: "+why)
}

// displayPath is a path as a person would type it.
func displayPath(dir string) string {
	if filepath.IsAbs(dir) || strings.HasPrefix(dir, ".") {
		return dir
	}
	return "./" + dir
}
