// Package web has what the pages of all of Docket's servers share: the style sheet, the
// templates and scripts of the public ones, and how pages count and speak.
package web

import (
	"embed"
	"fmt"
	"reflect"
	"strings"
)

// Files are the templates, style sheets and scripts of this folder.
//
//go:embed *.html *.css *.js *.svg
var Files embed.FS

// Read is one of the files, which is there: a name that is not is a bug.
func Read(name string) []byte {
	b, err := Files.ReadFile(name)
	if err != nil {
		panic(err) // embedded by this very package
	}
	return b
}

// Sheet is the style sheet of all pages.
func Sheet() []byte { return append(Read("style.css"), Read("things.css")...) }

// Count is a number with its noun: "1 record", "25 records", "2 days". A pointer counts as what it points to.
func Count(n any, noun string) string {
	text := fmt.Sprint(reflect.Indirect(reflect.ValueOf(n)))
	if text == "1" {
		return "1 " + noun
	}
	if stem, isY := strings.CutSuffix(noun, "y"); isY && !strings.ContainsAny(stem[len(stem)-1:], "aeiou") {
		return text + " " + stem + "ies"
	}
	return text + " " + noun + "s"
}

// Sentence begins with a capital and ends with a full stop, unless it is a question.
func Sentence(s string) string {
	if !strings.HasSuffix(s, "?") {
		s += "."
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
