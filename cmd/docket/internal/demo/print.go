package demo

import (
	"fmt"
	"path/filepath"
	"strings"
)

func (s *scenario) printLine(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// printStep tells one step: what, and in more words.
func (s *scenario) printStep(number, what, words string) {
	s.printLine("  %-4s %-15s %s", number, what, words)
}

// printOutcome prints a step and its outcome, on one line with dots between.
func (s *scenario) printOutcome(what, words, result string) {
	const column = 46
	if n := column - len(words) - 1; n > 1 {
		words += " " + strings.Repeat(".", n)
	}
	s.printStep("", what, words+" "+result)
}

// expectRefused expects an error and tells it.
func (s *scenario) expectRefused(what, words string, err error) {
	if err == nil {
		s.unexpected++
		s.printOutcome(what, words, "ACCEPTED, and should have been refused")
		return
	}
	s.refusals++
	s.printOutcome(what, words, "refused: "+err.Error())
}

// displayPath is a path as a person would type it.
func displayPath(dir string) string {
	if filepath.IsAbs(dir) || strings.HasPrefix(dir, ".") {
		return dir
	}
	return "./" + dir
}
