package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
)

// headMembers are the members of a predicate that a head line shows already.
var headMembers = map[string]bool{"ledger": true, "thread": true, "issuer": true, "issuedAt": true, "follows": true, "document": true}

// showStatement writes a statement for people to read before they sign it: every
// field that it has, and nothing that it has not.
func showStatement(w io.Writer, id record.ID, st *record.Statement) {
	line := func(name, format string, args ...any) {
		fmt.Fprintf(w, "  %-12s %s\n", name, printable(fmt.Sprintf(format, args...)))
	}
	fmt.Fprintf(w, "%s on %s\n", st.Kind, printable(st.Thread))
	line("issuer", "%s", st.Issuer)
	line("issued at", "%s", record.Instant{Time: st.IssuedAt})
	if !st.Ledger.IsZero() {
		line("ledger", "%s", st.Ledger)
	}
	line("record ID", "%s", id)
	if st.Follows.IsZero() {
		line("follows", "nothing: it opens the thread")
	} else {
		line("follows", "%s", st.Follows)
	}
	line("about", "%s", subjectText(st))
	if d := st.Document; d != nil && len(d.URL) > 0 {
		line("published at", "%s", strings.Join(d.URL, ", "))
	}
	fmt.Fprintf(w, "  says\n")
	for _, m := range st.Object() {
		if !headMembers[m.Name] {
			showMember(w, "    ", m)
		}
	}
}

// subjectText says what the subject's digest is of.
func subjectText(st *record.Statement) string {
	name := st.Subject.Name
	if d := st.Document; d != nil && d.Name != "" {
		name = d.Name
	}
	if name == "" {
		return fmt.Sprintf("SHA-256 %x", st.Subject.SHA256)
	}
	return fmt.Sprintf("%s, SHA-256 %x", name, st.Subject.SHA256)
}

// showMember writes one member of an object, as YAML would.
func showMember(w io.Writer, indent string, m record.Member) {
	switch v := m.Value.(type) {
	case record.Object:
		if text, ok := commitmentText(v); ok {
			fmt.Fprintf(w, "%s%s: %s\n", indent, printable(m.Name), text)
			return
		}
		fmt.Fprintf(w, "%s%s:\n", indent, printable(m.Name))
		for _, inner := range v {
			showMember(w, indent+"  ", inner)
		}
	case []any:
		if isScalarList(v) {
			fmt.Fprintf(w, "%s%s: %s\n", indent, printable(m.Name), flowText(v))
			return
		}
		fmt.Fprintf(w, "%s%s:\n", indent, printable(m.Name))
		for _, item := range v {
			showItem(w, indent+"  ", item)
		}
	case string:
		showText(w, indent, m.Name, v)
	default:
		fmt.Fprintf(w, "%s%s: %v\n", indent, printable(m.Name), v)
	}
}

// showItem writes one item of a list: an object on one line where it fits.
func showItem(w io.Writer, indent string, item any) {
	if text := flowText(item); len(text) <= 100 {
		fmt.Fprintf(w, "%s- %s\n", indent, text)
		return
	}
	o, ok := item.(record.Object)
	if !ok {
		fmt.Fprintf(w, "%s- %s\n", indent, flowText(item))
		return
	}
	fmt.Fprintf(w, "%s-\n", indent)
	for _, m := range o {
		showMember(w, indent+"  ", m)
	}
}

// showText writes a string, a long one on lines of its own.
func showText(w io.Writer, indent, name, text string) {
	if key, err := record.PEM(text).Key(); err == nil {
		fmt.Fprintf(w, "%s%s: %s\n", indent, printable(name), key.ID())
		return
	}
	if !strings.Contains(text, "\n") {
		fmt.Fprintf(w, "%s%s: %s\n", indent, printable(name), printable(text))
		return
	}
	fmt.Fprintf(w, "%s%s:\n", indent, printable(name))
	for _, l := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		fmt.Fprintf(w, "%s  %s\n", indent, shortened(printable(l)))
	}
}

// shortened shortens what nobody reads: a policy's ML-DSA keys, of which the name
// and the key ID stand before, take more than a screen each.
func shortened(line string) string {
	words := strings.Split(line, " ")
	for i, word := range words {
		if len(word) > 200 {
			words[i] = fmt.Sprintf("%s…%s", word[:64], word[len(word)-8:])
		}
	}
	return strings.Join(words, " ")
}

// commitmentText writes what is a commitment or a digest, and nothing else, on one line.
func commitmentText(o record.Object) (string, bool) {
	if len(o) != 1 {
		return "", false
	}
	switch v, _ := o[0].Value.(string); o[0].Name {
	case "commit":
		return "committed, not public (" + v + ")", true
	case "sha256":
		return "SHA-256 " + v, true
	}
	return "", false
}

// isScalarList tells whether a list is of scalars.
func isScalarList(list []any) bool {
	for _, item := range list {
		switch item.(type) {
		case record.Object, []any:
			return false
		}
	}
	return true
}

// flowText writes a value on one line, as YAML's flow style does; a key by its ID.
func flowText(v any) string {
	switch v := v.(type) {
	case record.Object:
		parts := make([]string, len(v))
		for i, m := range v {
			parts[i] = printable(m.Name) + ": " + flowText(m.Value)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			parts[i] = flowText(item)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		if key, err := record.PEM(v).Key(); err == nil {
			return key.ID()
		}
		return printable(v)
	}
	return fmt.Sprint(v)
}
