package draft

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// shortFormDecoder converts the YAML nodes of a short form into the members of a
// predicate, each scalar by the shape of its field.
type shortFormDecoder struct {
	resolver    ShortFormResolver
	predicate   schema.Object
	subject     record.Subject
	aboutLatest bool // about: latest
	private     bool // the subject is a commitment
	secrets     []record.Opening
	faults      []record.Fault
	lines       map[string]int // by pointer
	files       map[string]string

	requestLatest bool // request: latest, of a receipt
}

// zeroDigest holds the place of a commitment until [ShortForm.Fill] makes it.
var zeroDigest = record.ID{}.String()

// someRecord holds the place of a record ID likewise, where none of zeros may stand.
var someRecord = record.ID{1}.String()

func (w *shortFormDecoder) fault(n *yaml.Node, pointer, format string, args ...any) {
	w.lines[pointer] = n.Line
	w.faults = append(w.faults, record.Fault{Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
}

// dropNested leaves out faults about what is at fault already.
func (w *shortFormDecoder) dropNested(faults []record.Fault) []record.Fault {
	return slices.DeleteFunc(faults, func(f record.Fault) bool {
		return slices.ContainsFunc(w.faults, func(own record.Fault) bool {
			return f.Pointer == own.Pointer || strings.HasPrefix(f.Pointer, own.Pointer+"/")
		})
	})
}

func (w *shortFormDecoder) shortFormError(faults []record.Fault) error {
	e := &ShortFormError{}
	for _, f := range faults {
		e.Faults = append(e.Faults, LineFault{w.lineOf(f.Pointer), f})
	}
	slices.SortStableFunc(e.Faults, func(a, b LineFault) int { return a.Line - b.Line })
	return e
}

// lineOf is that of the pointer or of what holds it.
func (w *shortFormDecoder) lineOf(pointer string) int {
	for ; pointer != ""; pointer = pointer[:strings.LastIndexByte(pointer, '/')] {
		if n, ok := w.lines[pointer]; ok {
			return n
		}
	}
	return 0
}

func (w *shortFormDecoder) has(pointer string) bool {
	_, ok := w.lines[pointer]
	return ok
}

func (w *shortFormDecoder) read(raw []byte) (*record.Spec, error) {
	root, err := parseYAML(raw)
	if err != nil {
		return nil, err
	}
	members, ok := w.members(root, "/predicate")
	if !ok {
		return nil, record.Refuse(record.Malformed, "reading record: a short form has members like kind: designation")
	}
	sp, err := w.readKind(root, members)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		pointer := "/predicate/" + schema.EscapePointer(m.name)
		f := sp.Shape.Field(m.name)
		switch {
		case m.name == "kind":
		case m.name == "about":
			w.readAbout(m.value)
		case m.name == "document":
			w.readDocument(m.value, sp)
		case f == nil:
			w.fault(m.value, pointer, "is no field of kind %s%s", sp.Kind, schema.DidYouMean(m.name, append(sp.Shape.FieldNames(), "about")))
		case m.name == "request" && sp.Kind == record.KindDisclosureReceipt && m.value.Kind == yaml.ScalarNode && m.value.Value == "latest":
			w.requestLatest = true
			w.predicate = append(w.predicate, schema.Member{Name: m.name, Value: someRecord})
		default:
			w.predicate = append(w.predicate, schema.Member{Name: m.name, Value: w.field(m.value, f, pointer)})
		}
	}
	return sp, nil
}

func (w *shortFormDecoder) readKind(root *yaml.Node, members []yamlMember) (*record.Spec, error) {
	for _, m := range members {
		if m.name == "kind" {
			sp, err := record.SpecOf(record.Kind(m.value.Value))
			if err != nil && m.value.Line > 0 {
				hint := ""
				if kinds := kindsOnThread(members); len(kinds) > 0 {
					hint = fmt.Sprintf("; on this thread stands kind: %s", strings.Join(kinds, ", or "))
				}
				err = record.Refuse(record.Unsupported, "line %d: %v%s", m.value.Line, err, hint)
			}
			return sp, err
		}
	}
	detail := "is missing: say what kind of record this is; docket new KIND prints a template"
	if kinds := kindsOnThread(members); len(kinds) > 0 {
		detail = fmt.Sprintf("is missing; on this thread stands kind: %s; docket new %s prints a template", strings.Join(kinds, ", or "), kinds[0])
	}
	return nil, w.shortFormError([]record.Fault{{Pointer: "/predicate/kind", Detail: detail}})
}

// kindsOnThread are the kinds that stand on the thread that a short form names; none where it
// names none.
func kindsOnThread(members []yamlMember) (kinds []string) {
	for _, m := range members {
		if m.name == "thread" {
			for _, k := range record.KindsOn(record.Thread(m.value.Value)) {
				kinds = append(kinds, string(k))
			}
		}
	}
	return kinds
}

// plainInteger is how a whole number is written, up to the digits of [schema.MaxInteger].
var plainInteger = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,15})$`)

// field is the value of a member, which a required one has to have.
func (w *shortFormDecoder) field(n *yaml.Node, f *schema.Field, pointer string) any {
	if f.Required && n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		w.fault(n, pointer, "has no value, and is required")
		return ""
	}
	return w.value(n, f.Shape, pointer)
}

// value is the node as its shape reads it. What does not fit becomes what it looks
// like, for the decoder to refuse.
func (w *shortFormDecoder) value(n *yaml.Node, sh *schema.Shape, pointer string) any {
	if _, known := w.lines[pointer]; !known {
		w.lines[pointer] = n.Line
	}
	if sh == nil {
		sh = &schema.Shape{Type: schema.TypeString}
	}
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		w.fault(n, pointer, "uses an anchor or alias: write the value out")
	case n.Style&yaml.TaggedStyle != 0:
		w.fault(n, pointer, "has a tag (%s): write the value alone", n.Tag)
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		w.fault(n, pointer, "has no value: write one, or leave the line out")
	case n.Kind == yaml.ScalarNode && sh.GoType == goCommitment:
		w.fault(n, pointer, "is a commitment, not published: write {secret: %s}", schema.Quote(n.Value))
	case n.Kind == yaml.ScalarNode:
		return scalarValue(n, sh)
	case n.Kind == yaml.SequenceNode:
		list := []any{}
		for i, item := range n.Content {
			list = append(list, w.value(item, sh.Item, fmt.Sprintf("%s/%d", pointer, i)))
		}
		return list
	default:
		return w.mapping(n, sh, pointer)
	}
	return ""
}

func scalarValue(n *yaml.Node, sh *schema.Shape) any {
	if plain := n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0; plain {
		switch {
		case sh.Type == schema.TypeInteger && plainInteger.MatchString(n.Value):
			v, err := strconv.ParseInt(n.Value, 10, 64)
			if err == nil && v <= schema.MaxInteger && v >= -schema.MaxInteger {
				return v
			}
		case sh.Type == schema.TypeBoolean && (n.Value == "true" || n.Value == "false"):
			return n.Value == "true"
		}
	}
	return n.Value
}

func (w *shortFormDecoder) mapping(n *yaml.Node, sh *schema.Shape, pointer string) any {
	members, _ := w.members(n, pointer)
	if v, ok := w.substitution(n, members, sh, pointer); ok {
		return v
	}
	if sh.Type == schema.TypeFragment {
		sh = sh.Fragment
	}
	o := schema.Object{}
	for _, m := range members {
		inner, at := &schema.Field{}, pointer+"/"+schema.EscapePointer(m.name)
		if sh.Type == schema.TypeMap {
			inner.Shape = sh.Item
		} else if f := sh.Field(m.name); f != nil {
			inner = f
		}
		o = append(o, schema.Member{Name: m.name, Value: w.field(m.value, inner, at)})
	}
	return o
}
