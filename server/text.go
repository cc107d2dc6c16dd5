package server

import (
	"fmt"
	"html/template"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register"
	"github.com/seed-53cf897a/docket/ledger/register/view"
	"github.com/seed-53cf897a/docket/server/web"
)

// shownText is text that somebody signed, for a page: set apart, so that its direction changes nothing
// around it, with every character that a reader would not see written as its code point.
func shownText(s string) template.HTML { return clippedText(s, math.MaxInt) }

// clippedText is shownText of as much of a text as has so many bytes as HTML; an ellipsis says that there is more.
func clippedText(s string, most int) template.HTML {
	var b strings.Builder
	b.WriteString("<bdi>")
	plain, size := 0, 0 // where what is not written yet begins, and how much there is with it
	for i, r := range s {
		unseen := isUnseen(s, i, r)
		switch {
		case unseen:
			size += len(unseenMark) + 8
		case r < utf8.RuneSelf && strings.ContainsRune("<>&'\"\x00", r):
			size += len("&#34;")
		default:
			size += utf8.RuneLen(r)
		}
		if size > most {
			b.WriteString(template.HTMLEscapeString(s[plain:i]))
			b.WriteString("…</bdi>")
			return template.HTML(b.String())
		}
		if unseen {
			b.WriteString(template.HTMLEscapeString(s[plain:i]))
			fmt.Fprintf(&b, unseenMark, r)
			plain = i + len(string(r))
		}
	}
	b.WriteString(template.HTMLEscapeString(s[min(plain, len(s)):]))
	b.WriteString("</bdi>")
	return template.HTML(b.String())
}

const unseenMark = `<span class="unseen" title="a character that is not seen">U+%04X</span>`

func isUnseen(s string, i int, r rune) bool {
	return unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.Is(unicode.Cf, r) && r != 0x200C && r != 0x200D || register.IsHiddenAt(s, i)
}

// plainWords are those which are not what they say without their hyphens.
var plainWords = map[string]string{
	"mlat": "mutual legal assistance (MLAT)", "2703d": "court order under 18 U.S.C. § 2703(d)", "not-asked": "not asked yet",
}

// statusWords is a word of the ledger as it stands in a sentence: "in force", "no relationship".
func statusWords(s any) string {
	text := fmt.Sprint(s)
	if words, ok := plainWords[text]; ok {
		return words
	}
	words := strings.ReplaceAll(text, "-", " ")
	for short, written := range map[string]string{"ai": "AI", "cip": "CIP"} {
		if rest, ok := strings.CutPrefix(words, short); ok && (rest == "" || rest[0] == ' ') {
			return written + rest
		}
	}
	return words
}

// howWords say in which way a hit matches what was looked for.
func howWords(h view.How) string {
	return map[view.How]string{
		view.HowIdentifier: "the same identifier", view.HowExact: "the same name", view.HowAlias: "an alias", view.HowFormer: "a former name or identifier",
		view.HowPart: "words that begin so", view.HowSimilar: "a similar name",
	}[h]
}

// knowableText says how something stood by what could have been known on a day, and how that is known.
func knowableText(status string, by view.Knowable) string {
	if status = statusWords(status); status == string(view.StatusNone) {
		status = "nothing"
	}
	if by.Cosigned.IsZero() {
		return status + ", by the server's clock alone: no cosigned checkpoint of that time is kept"
	}
	return fmt.Sprintf("%s, by the first %s, which witnesses had cosigned at %s", status, web.Count(by.Size, "record"), by.Cosigned.UTC().Format(pageTimeFormat))
}

var isoPeriod = regexp.MustCompile(`^P(\d+)([DMY])$`)

// periodWords are a period as a charter has it, in words: "180 days (P180D)".
func periodWords(p string) string {
	m := isoPeriod.FindStringSubmatch(p)
	if m == nil {
		return p
	}
	return fmt.Sprintf("%s (%s)", web.Count(m[1], map[string]string{"D": "day", "M": "month", "Y": "year"}[m[2]]), p)
}

var civilDate = regexp.MustCompile(`\d{4}-\d{2}-\d{2}`)

// datedText is a sentence of ours in which no date is broken.
func datedText(s string) template.HTML {
	return template.HTML(civilDate.ReplaceAllString(template.HTMLEscapeString(s), `<span class="date">$0</span>`))
}

// saidText is what a record says, in which no date is broken either.
func saidText(s string) template.HTML { return datedHTML(shownText(s)) }

func datedHTML(s template.HTML) template.HTML {
	return template.HTML(civilDate.ReplaceAllString(string(s), `<span class="date">$0</span>`))
}

// kindWords is a kind as a person reads it: "CIP certification".
func kindWords(k record.Kind) string {
	words := strings.ReplaceAll(string(k), "-", " ")
	for _, short := range []string{"cip", "ai"} {
		if rest, ok := strings.CutPrefix(words, short+" "); ok {
			return strings.ToUpper(short) + " " + rest
		}
	}
	return memberWords(words)
}

// alikeScripts are those whose letters are taken for each other's.
var alikeScripts = []struct {
	name  string
	table *unicode.RangeTable
}{{"Latin", unicode.Latin}, {"Cyrillic", unicode.Cyrillic}, {"Greek", unicode.Greek}, {"Armenian", unicode.Armenian}, {"Cherokee", unicode.Cherokee}}

// lookAlikes says of each word of some names that has letters of two such scripts which they are: such
// a word looks like another.
func lookAlikes(names ...string) (notes []string) {
	for _, name := range names {
		for word := range strings.FieldsFuncSeq(name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) }) {
			var found []string
			odd := ""
			for _, r := range word {
				for _, s := range alikeScripts {
					if !unicode.Is(s.table, r) {
						continue
					}
					if !slices.Contains(found, s.name) {
						found = append(found, s.name)
					}
					if s.name != "Latin" && len(odd) < 80 {
						odd += fmt.Sprintf(", %c is %s U+%04X", r, s.name, r)
					}
				}
			}
			if note := fmt.Sprintf("“%s” has letters of %s, which look alike%s", word, strings.Join(found, " and "), odd); len(found) > 1 && !slices.Contains(notes, note) {
				notes = append(notes, note)
			}
		}
	}
	return notes
}

// memberWords is the name of a member as a person reads it: "Effective from" of effectiveFrom.
func memberWords(name string) string {
	name = strings.TrimPrefix(name, "target.")
	var b strings.Builder
	for i, r := range name {
		switch {
		case i == 0:
			b.WriteRune(unicode.ToUpper(r))
		case unicode.IsUpper(r) && (i+1 >= len(name) || !unicode.IsUpper(rune(name[i-1]))):
			b.WriteByte(' ')
			b.WriteRune(unicode.ToLower(r))
		default:
			b.WriteRune(r)
		}
	}
	switch words := b.String(); words {
	case "Lei", "Asn", "Id":
		return strings.ToUpper(words)
	case "Sha256":
		return "SHA-256"
	case "Ai report":
		return "AI report"
	case "Cip in place":
		return "Identification programme in place"
	default:
		return words
	}
}
