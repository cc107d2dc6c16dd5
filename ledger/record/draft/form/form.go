// Package form reads what people write, YAML or JSON, into the values of package schema: by
// the shape of its place a scalar stays as written (0123456, 2026-11-23, no), and each fault
// has its pointer and its line. It knows no record: records' short forms and a provider's
// programme are read by it alike. What decodes the values judges them.
package form

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// A Reader converts YAML nodes to values of package schema, each scalar by the shape of its
// place. Its zero value reads what stands for itself.
type Reader struct {
	Faults []schema.Fault
	Lines  map[string]int // by pointer

	// Substitute is asked for each mapping that stands in the place of a shape; ok says that
	// the value is what the mapping stands for. Nil substitutes nothing.
	Substitute func(n *yaml.Node, members []Member, sh *schema.Shape, pointer string) (value any, ok bool)
	// Scalar is what is wrong with a scalar in the place of a shape; nil finds nothing.
	Scalar func(n *yaml.Node, sh *schema.Shape) string
}

// Member is one of a mapping's.
type Member struct {
	Name  string
	Value *yaml.Node
}

// Fault adds one, on the line of a node.
func (r *Reader) Fault(n *yaml.Node, pointer, format string, args ...any) {
	r.note(pointer, n.Line)
	r.Faults = append(r.Faults, schema.Fault{Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
}

func (r *Reader) note(pointer string, line int) {
	if r.Lines == nil {
		r.Lines = make(map[string]int)
	}
	r.Lines[pointer] = line
}

// Has tells whether something stands at a pointer.
func (r *Reader) Has(pointer string) bool {
	_, ok := r.Lines[pointer]
	return ok
}

// WithoutNested leaves out faults about what is at fault already.
func (r *Reader) WithoutNested(faults []schema.Fault) []schema.Fault {
	return slices.DeleteFunc(faults, func(f schema.Fault) bool {
		return slices.ContainsFunc(r.Faults, func(own schema.Fault) bool {
			return f.Pointer == own.Pointer || strings.HasPrefix(f.Pointer, own.Pointer+"/")
		})
	})
}

// Error gives faults their lines, in the order of the file.
func (r *Reader) Error(faults []schema.Fault) *Error {
	e := &Error{}
	for _, f := range faults {
		e.Faults = append(e.Faults, LineFault{r.lineOf(f.Pointer), f})
	}
	slices.SortStableFunc(e.Faults, func(a, b LineFault) int { return a.Line - b.Line })
	return e
}

// lineOf is that of the pointer or of what holds it.
func (r *Reader) lineOf(pointer string) int {
	for ; pointer != ""; pointer = pointer[:strings.LastIndexByte(pointer, '/')] {
		if n, ok := r.Lines[pointer]; ok {
			return n
		}
	}
	return 0
}

// Members are a mapping's, each name once; they note where each stands.
func (r *Reader) Members(n *yaml.Node, pointer string) ([]Member, bool) {
	if n.Kind != yaml.MappingNode {
		return nil, false
	}
	var out []Member
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		at := pointer + "/" + schema.EscapePointer(name.Value)
		switch {
		case name.Kind != yaml.ScalarNode || name.Tag == "!!merge":
			r.Fault(name, pointer, "has a name that is not plain text")
		case seen[name.Value]:
			r.Fault(name, at, "stands here twice")
		case value.Tag == "!!null" && joinedColon.MatchString(name.Value):
			m := joinedColon.FindStringSubmatch(name.Value)
			r.Fault(name, pointer+"/"+m[1], "needs a space after its colon: %s: %s", m[1], m[2])
		default:
			r.note(at, name.Line)
			seen[name.Value] = true
			out = append(out, Member{name.Value, value})
		}
	}
	return out, true
}

// Field is the value of a member, which a required one has to have.
func (r *Reader) Field(n *yaml.Node, f *schema.Field, pointer string) any {
	if f.Required && n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		r.Fault(n, pointer, "has no value, and is required")
		return ""
	}
	return r.Value(n, f.Shape, pointer)
}

// Value is the node as its shape reads it. What does not fit becomes what it looks
// like, for the decoder to refuse.
func (r *Reader) Value(n *yaml.Node, sh *schema.Shape, pointer string) any {
	if !r.Has(pointer) {
		r.note(pointer, n.Line)
	}
	if sh == nil {
		sh = &schema.Shape{Type: schema.TypeString}
	}
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		r.Fault(n, pointer, "uses an anchor or alias: write the value out")
	case n.Style&yaml.TaggedStyle != 0:
		r.Fault(n, pointer, "has a tag (%s): write the value alone", n.Tag)
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		r.Fault(n, pointer, "has no value: write one, or leave the line out")
	case n.Kind == yaml.ScalarNode:
		if r.Scalar != nil {
			if fault := r.Scalar(n, sh); fault != "" {
				r.Fault(n, pointer, "%s", fault)
				return ""
			}
		}
		return Scalar(n, sh)
	case n.Kind == yaml.SequenceNode:
		list := []any{}
		for i, item := range n.Content {
			list = append(list, r.Value(item, sh.Item, fmt.Sprintf("%s/%d", pointer, i)))
		}
		return list
	default:
		return r.mapping(n, sh, pointer)
	}
	return ""
}

func (r *Reader) mapping(n *yaml.Node, sh *schema.Shape, pointer string) any {
	members, _ := r.Members(n, pointer)
	if r.Substitute != nil {
		if v, ok := r.Substitute(n, members, sh, pointer); ok {
			return v
		}
	}
	if sh.Type == schema.TypeFragment {
		sh = sh.Fragment
	}
	o := schema.Object{}
	for _, m := range members {
		inner, at := &schema.Field{}, pointer+"/"+schema.EscapePointer(m.Name)
		if sh.Type == schema.TypeMap {
			inner.Shape = sh.Item
		} else if f := sh.Field(m.Name); f != nil {
			inner = f
		}
		o = append(o, schema.Member{Name: m.Name, Value: r.Field(m.Value, inner, at)})
	}
	return o
}

// plainInteger is how a whole number is written, up to the digits of [schema.MaxInteger].
var plainInteger = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,15})$`)

// Scalar is a scalar's value in the place of a shape: a number or a truth where that is
// wanted and it is written plainly, else its text.
func Scalar(n *yaml.Node, sh *schema.Shape) any {
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

// Error lists what is wrong with a file that somebody wrote.
type Error struct {
	Faults []LineFault
}

// LineFault is a fault and the line on which it stands; 0 where none is known.
type LineFault struct {
	Line int
	schema.Fault
}

// String names the place as people write it; a record's members stand in its predicate,
// which nobody writes.
func (f LineFault) String() string {
	where := strings.TrimPrefix(strings.TrimPrefix(f.Pointer, "/predicate"), "/")
	where = strings.TrimSpace(strings.ReplaceAll(where, "/", ".") + " " + f.Detail)
	if f.Line == 0 {
		return where
	}
	return fmt.Sprintf("line %d: %s", f.Line, where)
}

func (e *Error) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}
