package draft

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft/form"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// shortFormDecoder converts the YAML nodes of a short form into the members of a
// predicate, each scalar by the shape of its field.
type shortFormDecoder struct {
	form.Reader
	resolver    ShortFormResolver
	predicate   schema.Object
	subject     record.Subject
	aboutLatest bool // about: latest
	private     bool // the subject is a commitment
	secrets     []record.Opening
	files       map[string]string

	requestLatest bool // request: latest, of a receipt
}

// zeroDigest holds the place of a commitment until [ShortForm.Fill] makes it.
var zeroDigest = record.ID{}.String()

// someRecord holds the place of a record ID likewise, where none of zeros may stand.
var someRecord = record.ID{1}.String()

// newShortFormDecoder reads what a short form alone knows: files and keys that it names, and
// values to commit to.
func newShortFormDecoder(resolver ShortFormResolver) *shortFormDecoder {
	w := &shortFormDecoder{resolver: resolver}
	w.Substitute = w.substitution
	w.Scalar = func(n *yaml.Node, sh *schema.Shape) string {
		if sh.GoType != goCommitment {
			return ""
		}
		return fmt.Sprintf("is a commitment, not published: write {secret: %s}", schema.Quote(n.Value))
	}
	return w
}

func (w *shortFormDecoder) read(raw []byte) (*record.Spec, error) {
	root, err := form.Parse(raw)
	switch {
	case errors.Is(err, form.ErrEmpty):
		return nil, record.Refuse(record.Malformed, "reading record: %v; docket new KIND prints a template", err)
	case err != nil:
		return nil, record.Refuse(record.Malformed, "reading record: %v", err)
	}
	members, ok := w.Members(root, "/predicate")
	if !ok {
		return nil, record.Refuse(record.Malformed, "reading record: a short form has members like kind: designation")
	}
	sp, err := w.readKind(root, members)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		pointer := "/predicate/" + schema.EscapePointer(m.Name)
		f := sp.Shape.Field(m.Name)
		switch {
		case m.Name == "kind":
		case m.Name == "about":
			w.readAbout(m.Value)
		case m.Name == "document":
			w.readDocument(m.Value, sp)
		case f == nil:
			w.Fault(m.Value, pointer, "is no field of kind %s%s", sp.Kind, schema.DidYouMean(m.Name, append(sp.Shape.FieldNames(), "about")))
		case m.Name == "request" && sp.Kind == record.KindDisclosureReceipt && m.Value.Kind == yaml.ScalarNode && m.Value.Value == "latest":
			w.requestLatest = true
			w.predicate = append(w.predicate, schema.Member{Name: m.Name, Value: someRecord})
		default:
			w.predicate = append(w.predicate, schema.Member{Name: m.Name, Value: w.Field(m.Value, f, pointer)})
		}
	}
	return sp, nil
}

func (w *shortFormDecoder) readKind(root *yaml.Node, members []form.Member) (*record.Spec, error) {
	for _, m := range members {
		if m.Name == "kind" {
			sp, err := record.SpecOf(record.Kind(m.Value.Value))
			if err != nil && m.Value.Line > 0 {
				hint := ""
				if kinds := kindsOnThread(members); len(kinds) > 0 {
					hint = fmt.Sprintf("; on this thread stands kind: %s", strings.Join(kinds, ", or "))
				}
				err = record.Refuse(record.Unsupported, "line %d: %v%s", m.Value.Line, err, hint)
			}
			return sp, err
		}
	}
	detail := "is missing: say what kind of record this is; docket new KIND prints a template"
	if kinds := kindsOnThread(members); len(kinds) > 0 {
		detail = fmt.Sprintf("is missing; on this thread stands kind: %s; docket new %s prints a template", strings.Join(kinds, ", or "), kinds[0])
	}
	return nil, w.Error([]record.Fault{{Pointer: "/predicate/kind", Detail: detail}})
}

// kindsOnThread are the kinds that stand on the thread that a short form names; none where it
// names none.
func kindsOnThread(members []form.Member) (kinds []string) {
	for _, m := range members {
		if m.Name == "thread" {
			for _, k := range record.KindsOn(record.Thread(m.Value.Value)) {
				kinds = append(kinds, string(k))
			}
		}
	}
	return kinds
}
