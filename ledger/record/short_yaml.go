package record

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A writing turns the nodes of a short form into the members that a predicate has,
// each scalar by the shape of its field.
type shortFormDecoder struct {
	resolver    ShortFormResolver
	predicate   Object
	subject     Subject
	aboutLatest bool // about: latest
	private     bool // the subject is a commitment
	secrets     []Opening
	faults      []Fault
	lines       map[string]int // by pointer
}

const zeroDigest = "0000000000000000000000000000000000000000000000000000000000000000"

func (w *shortFormDecoder) fault(n *yaml.Node, pointer, format string, args ...any) {
	w.lines[pointer] = n.Line
	w.faults = append(w.faults, Fault{pointer, fmt.Sprintf(format, args...)})
}

// dropNested leaves out faults about what is at fault already.
func (w *shortFormDecoder) dropNested(faults []Fault) []Fault {
	return slices.DeleteFunc(faults, func(f Fault) bool {
		return slices.ContainsFunc(w.faults, func(own Fault) bool {
			return f.Pointer == own.Pointer || strings.HasPrefix(f.Pointer, own.Pointer+"/")
		})
	})
}

func (w *shortFormDecoder) shortFormError(faults []Fault) error {
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

func (w *shortFormDecoder) read(raw []byte) (*kindSpec, error) {
	root, err := parseYAML(raw)
	if err != nil {
		return nil, err
	}
	members, ok := w.members(root, "/predicate")
	if !ok {
		return nil, Refuse(Malformed, "reading record: a short form has members like kind: designation")
	}
	sp, err := w.readKind(root, members)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		pointer := "/predicate/" + escapePointer(m.name)
		_, f := sp.shape.lookupField(m.name, 0)
		switch {
		case m.name == "kind":
		case m.name == "about":
			w.readAbout(m.value)
		case m.name == "document":
			w.readDocument(m.value, sp)
		case f == nil:
			w.fault(m.value, pointer, "is no field of kind %s%s", sp.kind, didYouMean(m.name, append(sp.shape.fieldNames(), "about")))
		default:
			w.predicate = append(w.predicate, Member{m.name, w.field(m.value, f, pointer)})
		}
	}
	return sp, nil
}

// parseYAML reads one document; JSON that is JSON is not left to YAML, which
// reads some of it otherwise.
func parseYAML(raw []byte) (*yaml.Node, error) {
	if v, err := ParseJSON(raw); err == nil {
		return yamlNodeOf(v), nil
	}
	dec := yaml.NewDecoder(strings.NewReader(string(raw)))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, Refuse(Malformed, "reading record: the file is empty; docket new KIND prints a template")
	case err != nil:
		return nil, Refuse(Malformed, "reading record: %v", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if dec.Decode(&more) == nil {
		return nil, Refuse(Malformed, "reading record: line %d: a second document; one record a file", more.Line)
	}
	return doc.Content[0], nil
}

func yamlNodeOf(v any) *yaml.Node {
	switch v := v.(type) {
	case string:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: v}
	case int64:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(v, 10)}
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, item := range v {
			n.Content = append(n.Content, yamlNodeOf(item))
		}
		return n
	}
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, m := range v.(Object) {
		n.Content = append(n.Content, yamlNodeOf(m.Name), yamlNodeOf(m.Value))
	}
	return n
}

type yamlMember struct {
	name  string
	value *yaml.Node
}

// members are a mapping's, each name once; they note where each stands.
func (w *shortFormDecoder) members(n *yaml.Node, pointer string) ([]yamlMember, bool) {
	if n.Kind != yaml.MappingNode {
		return nil, false
	}
	var out []yamlMember
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		at := pointer + "/" + escapePointer(name.Value)
		switch {
		case name.Kind != yaml.ScalarNode || name.Tag == "!!merge":
			w.fault(name, pointer, "has a name that is not plain text")
		case seen[name.Value]:
			w.fault(name, at, "stands here twice")
		default:
			w.lines[at] = name.Line
			seen[name.Value] = true
			out = append(out, yamlMember{name.Value, value})
		}
	}
	return out, true
}

func (w *shortFormDecoder) readKind(root *yaml.Node, members []yamlMember) (*kindSpec, error) {
	for _, m := range members {
		if m.name == "kind" {
			sp, err := findSpec(Kind(m.value.Value))
			if err != nil && m.value.Line > 0 {
				err = Refuse(Unsupported, "line %d: %v", m.value.Line, err)
			}
			return sp, err
		}
	}
	return nil, w.shortFormError([]Fault{{"/predicate/kind", "is missing: say what kind of record this is; docket new KIND prints a template"}})
}
