package record

import (
	"fmt"
	"strings"
)

// Template is the short form of a kind to fill in: each field once with a line of
// explanation, those that are required with their place open, the others commented
// out. What docket fills in by itself (ledger, follows, issuedAt) is left out.
// Errors are those of [ParseKind].
func Template(kind string) (string, error) {
	sp, err := findSpec(Kind(kind))
	if err != nil {
		return "", err
	}
	var t template
	t.add("kind: "+kind, "")
	example := exampleThread(sp)
	if example == sp.thread {
		t.add("thread: "+example, "")
	} else {
		t.add("thread:", "required, e.g. "+example+"; "+sp.thread+", the life of one thing")
	}
	t.subject(sp)
	if sp.issuer == issuedByAuthority || sp.owner(example) == Authority {
		t.add("issuer: "+Authority, "")
	} else {
		t.add("issuer:", "required, e.g. "+sp.owner(example)+"; party ID of whose word this is")
	}
	for _, f := range sp.shape.fields {
		if !f.common {
			t.field(f, false)
		}
	}
	t.add("# note:", "text for people, at most 2000 characters")
	return "# " + sp.summary + "\n# Fill in what is empty; take the # from what else you need. Then: docket sign --key KEY FILE\n# or, where one signature is enough, docket submit --key KEY FILE\n" + t.String(), nil
}

// exampleThread is a thread of the kind.
func exampleThread(sp *kindSpec) string {
	example := map[string]string{"D": "2026-014", "P": "acme-cloud", "R": "lumen-resale"}
	segments := make([]string, len(sp.segments))
	for i, s := range sp.segments {
		if segments[i] = s; isPlaceholderSegment(s) {
			segments[i] = example[s]
		}
	}
	return strings.Join(segments, "/")
}

// A template is its lines; their comments are aligned when all are there.
type template []templateLine

type templateLine struct {
	commentedOut  bool // behind a #
	text, comment string
}

func (t *template) add(text, comment string) {
	rest, off := strings.CutPrefix(text, "# ")
	*t = append(*t, templateLine{off, rest, comment})
}

func (t template) String() string {
	const column = 40 // where comments stand, unless the line is longer
	var b strings.Builder
	for _, l := range t {
		text := l.text
		if l.commentedOut {
			text = "# " + text
		}
		if l.comment != "" {
			text = fmt.Sprintf("%-*s # %s", column, text, l.comment)
		}
		b.WriteString(text + "\n")
	}
	return b.String()
}

// subject is the line that says what the record is about.
func (t *template) subject(sp *kindSpec) {
	switch {
	case sp.privateSubject:
		t.add("document: {file: , private: true}", "required, e.g. form.pdf; only a commitment to its digest is published")
	case sp.subject == subjectDocument:
		t.add("document: {file: }", "required, e.g. order.pdf; its digest is signed; {file: F, url: [U]} says where it is published")
	case sp.subject == subjectDesignation:
		t.add("about: latest", "the designation's record that you answer: the newest, or its record ID")
	case sp.subject == subjectEnrolment: // docket finds it
	default:
		t.add("# document: {file: letter.pdf}", "a document that this record is about")
	}
}

// field writes one member; within says that it stands in one that is off.
func (t *template) field(f *field, within bool) {
	open := !within && (f.required || f.inTemplate)
	text, comment := f.name+":", f.explain()
	inner := f.is == isList && f.item.is == isObject || f.is == isObject && !isCommitted(f.shape)
	switch {
	case inner:
	case f.isLongText():
		t.longText(f.example)
		text += " |"
	case !open && f.example != "":
		text += " " + f.example
	}
	*t = append(*t, templateLine{!open, text, comment})
	if inner {
		t.members(f.shape, !open)
	}
}

// isLongText: a text of whole lines, as a policy is.
func (f *field) isLongText() bool {
	return f.is == isString && f.format == FormatLines && f.maxChars > 4_000
}

// longText shows one above its place: within it a # would be part of the text.
func (t *template) longText(eg string) {
	for line := range strings.Lines(eg) {
		t.add("# "+strings.TrimSuffix(line, "\n"), "")
	}
}

// members are those of an object, or of the one item that shows a list, further in.
func (t *template) members(sh *shape, off bool) {
	first, rest := "  ", "  "
	if sh.is == isList {
		sh, first, rest = sh.item, "  - ", "    "
	}
	var inner template
	for _, f := range sh.fields {
		inner.field(f, off)
	}
	for i, l := range inner {
		if i == 0 {
			l.text = first + l.text
		} else {
			l.text = rest + l.text
		}
		*t = append(*t, l)
	}
}

// explain is a field's comment: whether it is required, what it may be, what it is.
func (f *field) explain() string {
	words := choices(f.shape)
	switch {
	case f.required && words != "":
		return "required: " + words + "; " + f.doc
	case f.required && f.example != "" && !f.isLongText():
		return "required, e.g. " + f.example + "; " + f.doc
	case f.required:
		return "required; " + f.doc
	case words != "":
		return words + "; " + f.doc
	case f.inTemplate && f.example != "":
		return "e.g. " + f.example + "; " + f.doc
	}
	return f.doc
}

func choices(sh *shape) string {
	switch {
	case sh.is == isList && sh.item.enum != nil:
		return "a list of " + strings.Join(sh.item.enum, " | ")
	case sh.is == isBoolean:
		return "true | false"
	}
	return strings.Join(sh.enum, " | ")
}

// isCommitted: what people write as {secret: …}, in one line.
func isCommitted(sh *shape) bool {
	t := derefType(sh.typ)
	return t == typeCommitment || t == typeDigest
}
