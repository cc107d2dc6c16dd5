package draft

import (
	"fmt"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// TemplateValues are what a template has filled in already, as YAML, by the member's path in
// the short form ("policy", "thresholds.root"): one value, or the items of a list of objects.
type TemplateValues map[string][]string

// Template is the short form of a kind to fill in: each field once with a line of
// explanation, those that are required with their place open or with what is given for
// them, the others commented out unless they are given. What docket fills in by itself
// (ledger, follows, issuedAt) is left out. Errors are those of [record.ParseKind].
func Template(kind string, given TemplateValues) (string, error) {
	sp, err := record.SpecOf(record.Kind(kind))
	if err != nil {
		return "", err
	}
	t := template{given: given}
	t.add("kind: "+kind, "")
	example := sp.ExampleThread()
	if v := given["thread"]; v != nil {
		t.add("thread: "+v[0], "")
	} else if string(example) == sp.Thread {
		t.add("thread: "+sp.Thread, "")
	} else {
		t.add("thread:", "required, e.g. "+string(example)+"; "+sp.Thread+", the life of one thing")
	}
	t.subject(sp)
	if v := given["issuer"]; v != nil {
		t.add("issuer: "+v[0], "")
	} else if by := sp.UsualIssuer(example); by == record.Authority {
		t.add("issuer: "+by, "")
	} else {
		t.add("issuer:", "required, e.g. "+by+"; party ID of whose word this is")
	}
	for _, f := range sp.Own.Fields {
		t.field(f, "", false)
	}
	t.add("# note:", "text for people, at most 2000 characters")
	return "# " + sp.Summary + "\n# Signed by: " + sp.Signers + ".\n# Fill in what is empty; take the # from what else you need. Then: docket sign --key KEY FILE\n# or, where one signature is enough, docket submit --key KEY FILE\n" + t.String(), nil
}

// A template is its lines; their comments are aligned when all are there.
type template struct {
	given TemplateValues
	lines []templateLine
}

type templateLine struct {
	commentedOut  bool // behind a #
	text, comment string
}

func (t *template) add(text, comment string) {
	rest, off := strings.CutPrefix(text, "# ")
	t.lines = append(t.lines, templateLine{off, rest, comment})
}

func (t template) String() string {
	const column = 40 // where comments stand, unless the line is longer
	var b strings.Builder
	for _, l := range t.lines {
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
	switch v := t.given["document"]; {
	case v != nil:
		t.add("document: "+v[0], "its digest is signed; url: [U] beside file says where it is published")
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

// field writes one member of what is at a path; within says that it stands in one that is off.
func (t *template) field(f *schema.Field, path string, within bool) {
	open := !within && (f.Required || f.InTemplate)
	text, comment := f.Name+":", explain(f)
	if v := t.given[path+f.Name]; v != nil {
		t.filled(f, v, comment)
		return
	}
	inner := f.Type == schema.TypeList && f.Item.Type == schema.TypeObject || f.Type == schema.TypeObject && !isCommitted(f.Shape)
	switch {
	case inner:
	case isLongText(f.Shape):
		t.longText(f.Example)
		text += " |"
	case !open && f.Example != "":
		text += " " + f.Example
	}
	t.lines = append(t.lines, templateLine{!open, text, comment})
	if inner {
		t.members(f.Shape, path+f.Name+".", !open)
	}
}

// filled writes a member with what is given for it.
func (t *template) filled(f *schema.Field, given []string, comment string) {
	if f.Type != schema.TypeList || f.Item.Type != schema.TypeObject || given[0] == "[]" {
		t.add(f.Name+": "+given[0], comment)
		return
	}
	t.add(f.Name+":", comment)
	for _, item := range given {
		t.add("  - "+item, "")
	}
}

// isLongText: a text of whole lines, as a policy is.
func isLongText(sh *schema.Shape) bool {
	return sh.Type == schema.TypeString && sh.Format == schema.FormatLines && sh.MaxChars > 4_000
}

// longText shows one above its place: within it a # would be part of the text.
func (t *template) longText(eg string) {
	for line := range strings.Lines(eg) {
		t.add("# "+strings.TrimSuffix(line, "\n"), "")
	}
}

// members are those of an object, or of the one item that shows a list, further in.
func (t *template) members(sh *schema.Shape, path string, off bool) {
	first, rest := "  ", "  "
	if sh.Type == schema.TypeList {
		sh, first, rest = sh.Item, "  - ", "    "
	}
	inner := template{given: t.given}
	for _, f := range sh.Fields {
		inner.field(f, path, off)
	}
	for i, l := range inner.lines {
		if i == 0 {
			l.text = first + l.text
		} else {
			l.text = rest + l.text
		}
		t.lines = append(t.lines, l)
	}
}

// explain is a field's comment: whether it is required, what it may be, what it is.
func explain(f *schema.Field) string {
	words := choices(f.Shape)
	switch {
	case f.Required && words != "":
		return "required: " + words + "; " + f.Doc
	case f.Required && f.Example != "" && !isLongText(f.Shape):
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
