package rules1

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// textClass says how [NameKey] treats a code point; unassigned ones are refused
// everywhere. The ranges stand in unicode15.go.
type textClass byte

const (
	classUnassigned textClass = iota // General_Category Cn in Unicode 15.0, surrogates too
	classKept                        // letters, marks, numbers, symbols, private use
	classSpace                       // separators, controls, punctuation: a space in a key
	classDropped                     // apostrophes and full stops: nothing in a key
	classFormat                      // format characters that are seen: nothing in a key
	classHidden                      // default-ignorable and interlinear characters: refused in text, nothing in a key
	classJoiner                      // ZWNJ and ZWJ: in text only where [joinerAllowed] says so, nothing in a key
)

// classOf looks r up in the frozen ranges, each of which begins at
// classes[i]>>8 and lasts until the next one.
func classOf(r rune) textClass { return textClass(lookUpRun(classes[:], r)) }

// lookUpRun is the value of the run that r is in: each begins at runs[i]>>8.
func lookUpRun(runs []uint32, r rune) byte {
	low, high := 0, len(runs)
	for high-low > 1 {
		if middle := (low + high) / 2; rune(runs[middle]>>8) <= r {
			low = middle
		} else {
			high = middle
		}
	}
	return byte(runs[low])
}

var errNotNFC = errors.New("text is not in Unicode normalisation form C (NFC): write it composed")

// checkText refuses code points that Unicode 15.0 does not assign, text that
// is not NFC, and what [IsHiddenAt] finds. The first makes the second stable: what is assigned
// normalises alike in every later version (Unicode normalization stability policy, UAX #15
// section 3), whatever tables x/text was built with.
func checkText(s string) error {
	if isASCII(s) {
		return nil
	}
	for _, r := range s {
		if r >= utf8.RuneSelf && classOf(r) == classUnassigned {
			return fmt.Errorf("code point U+%04X is not assigned in Unicode 15.0", r)
		}
	}
	if !norm.NFC.IsNormalString(s) {
		return errNotNFC
	}
	for i, r := range s {
		if !IsHiddenAt(s, i) {
			continue
		}
		if classOf(r) == classJoiner {
			return fmt.Errorf("U+%04X at byte %d joins nothing: it may stand only between two letters or marks of one script that joins", r, i)
		}
		return fmt.Errorf("U+%04X at byte %d is not seen by a reader: leave it out", r, i)
	}
	return nil
}

// IsHiddenAt reports whether the code point at byte i of s is one that a reader does not see,
// so that two texts that differ look alike (RECORDS.md "Every record"): a
// default-ignorable, tag or interlinear character, a line or paragraph separator, or a
// joiner (ZWNJ, ZWJ) that is not between two letters or marks of one script that joins.
func IsHiddenAt(s string, i int) bool {
	r, size := utf8.DecodeRuneInString(s[i:])
	switch {
	case r == 0x2028 || r == 0x2029:
		return true
	case r < utf8.RuneSelf:
		return false
	}
	switch classOf(r) {
	case classHidden:
		return true
	case classJoiner:
		return !joinerAllowed(s[:i], s[i+size:])
	}
	return false
}

// scriptInherited is the script, in the table, of marks that take that of their base.
const scriptInherited = 255

// joinerAllowed reports whether a joiner may stand between two texts: the last code point of the
// one and the first of the other are letters or marks of one script whose letters join.
func joinerAllowed(before, after string) bool {
	script := byte(scriptInherited)
	for script == scriptInherited {
		r, size := utf8.DecodeLastRuneInString(before)
		if size == 0 {
			return false
		}
		script, before = lookUpRun(joining15[:], r), before[:len(before)-size]
	}
	next, _ := utf8.DecodeRuneInString(after)
	other := lookUpRun(joining15[:], next)
	return script != 0 && (other == script || other == scriptInherited)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
