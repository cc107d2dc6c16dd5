package draft

import (
	"fmt"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// Template is the short form of a kind to fill in: each field once with a line of
// explanation, those that are required with their place open, the others commented
// out. What docket fills in by itself (ledger, follows, issuedAt) is left out.
// Errors are those of [record.ParseKind].
func Template(kind string) (string, error) {
	sp, err := record.SpecOf(record.Kind(kind))
	if err != nil {
		return "", err
	}
	var t template
	t.add("kind: "+kind, "")
	example := sp.ExampleThread()
	if string(example) == sp.Thread {
		t.add("thread: "+sp.Thread, "")
	} else {
		t.add("thread:", "required, e.g. "+string(example)+"; "+sp.Thread+", the life of one thing")
	}
	t.subject(sp)
	if by := sp.UsualIssuer(example); by == record.Authority {
		t.add("issuer: "+by, "")
	} else {
		t.add("issuer:", "required, e.g. "+by+"; party ID of whose word this is")
	}
	for _, f := range sp.Own.Fields {
		t.field(f, false)
	}
	t.add("# note:", "text for people, at most 2000 characters")
	return "# " + sp.Summary + "\n# Fill in what is empty; take the # from what else you need. Then: docket sign --key KEY FILE\n# or, where one signature is enough, docket submit --key KEY FILE\n" + t.String(), nil
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
func (t *template) subject(sp *record.Spec) {
	switch {
	case sp.PrivateSubject:
		t.add("document: {file: , private: true}", "required, e.g. form.pdf; only a commitment to its digest is published")
	case sp.SealableSubject:
		t.add("document: {file: }", "required, e.g. warrant.pdf; its digest is signed; of a sealed one {file: F, private: true}; of a later record instead about: latest")
	case sp.Subject == record.SubjectDocument:
		t.add("document: {file: }", "required, e.g. order.pdf; its digest is signed; {file: F, url: [U]} says where it is published")
	case sp.Subject == record.SubjectDesignation:
		t.add("about: latest", "the designation's record that you answer: the newest, or its record ID")
	case sp.Subject == record.SubjectEnrolment, sp.Subject == record.SubjectCheckpoint: // docket finds it
	default:
		t.add("# document: {file: letter.pdf}", "a document that this record is about")
	}
}

// field writes one member; within says that it stands in one that is off.
func (t *template) field(f *schema.Field, within bool) {
	open := !within && (f.Required || f.InTemplate)
	text, comment := f.Name+":", explain(f)
	inner := f.Type == schema.TypeList && f.Item.Type == schema.TypeObject || f.Type == schema.TypeObject && !isCommitted(f.Shape)
	switch {
	case inner:
	case isLongText(f):
		t.longText(f.Example)
		text += " |"
	case !open && f.Example != "":
		text += " " + f.Example
	}
	*t = append(*t, templateLine{!open, text, comment})
	if inner {
		t.members(f.Shape, !open)
	}
}

// isLongText: a text of whole lines, as a policy is.
func isLongText(f *schema.Field) bool {
	return f.Type == schema.TypeString && f.Format == schema.FormatLines && f.MaxChars > 4_000
}

// longText shows one above its place: within it a # would be part of the text.
func (t *template) longText(eg string) {
	for line := range strings.Lines(eg) {
		t.add("# "+strings.TrimSuffix(line, "\n"), "")
	}
}

// members are those of an object, or of the one item that shows a list, further in.
func (t *template) members(sh *schema.Shape, off bool) {
	first, rest := "  ", "  "
	if sh.Type == schema.TypeList {
		sh, first, rest = sh.Item, "  - ", "    "
	}
	var inner template
	for _, f := range sh.Fields {
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
func explain(f *schema.Field) string {
	words := choices(f.Shape)
	switch {
	case f.Required && words != "":
		return "required: " + words + "; " + f.Doc
	case f.Required && f.Example != "" && !isLongText(f):
		return "required, e.g. " + f.Example + "; " + f.Doc
	case f.Required:
		return "required; " + f.Doc
	case words != "":
		return words + "; " + f.Doc
	case f.InTemplate && f.Example != "":
		return "e.g. " + f.Example + "; " + f.Doc
	}
	return f.Doc
}

func choices(sh *schema.Shape) string {
	switch {
	case sh.Type == schema.TypeList && sh.Item.Enum != nil:
		return "a list of " + strings.Join(sh.Item.Enum, " | ")
	case sh.Type == schema.TypeBoolean:
		return "true | false"
	}
	return strings.Join(sh.Enum, " | ")
}

// isCommitted: what people write as {secret: …}, in one line.
func isCommitted(sh *schema.Shape) bool {
	return sh.GoType == goCommitment || sh.GoType == goDigest
}
