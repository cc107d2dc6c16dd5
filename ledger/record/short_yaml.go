package record

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A writing turns the nodes of a short form into the members that a predicate has,
// each scalar by the shape of its field.
type writing struct {
	env       ShortEnv
	predicate Object
	subject   Subject
	latest    bool // about: latest
	private   bool // the subject is a commitment
	secrets   []Salt
	faults    []Fault
	lines     map[string]int // by pointer
}

const placeholder = "0000000000000000000000000000000000000000000000000000000000000000"

func (w *writing) fault(n *yaml.Node, pointer, format string, args ...any) {
	w.lines[pointer] = n.Line
	w.faults = append(w.faults, Fault{pointer, fmt.Sprintf(format, args...)})
}

// without leaves out faults about what is at fault already.
func (w *writing) without(faults []Fault) []Fault {
	return slices.DeleteFunc(faults, func(f Fault) bool {
		return slices.ContainsFunc(w.faults, func(own Fault) bool {
			return f.Pointer == own.Pointer || strings.HasPrefix(f.Pointer, own.Pointer+"/")
		})
	})
}

func (w *writing) refuse(faults []Fault) error {
	e := &ShortError{}
	for _, f := range faults {
		e.Faults = append(e.Faults, LineFault{w.line(f.Pointer), f})
	}
	slices.SortStableFunc(e.Faults, func(a, b LineFault) int { return a.Line - b.Line })
	return e
}

// line is that of the pointer or of what holds it.
func (w *writing) line(pointer string) int {
	for ; pointer != ""; pointer = pointer[:strings.LastIndexByte(pointer, '/')] {
		if n, ok := w.lines[pointer]; ok {
			return n
		}
	}
	return 0
}

func (w *writing) read(raw []byte) (*spec, error) {
	root, err := parseNodes(raw)
	if err != nil {
		return nil, err
	}
	members, ok := w.members(root, "/predicate")
	if !ok {
		return nil, Refuse(Malformed, "reading record: a short form has members like kind: designation")
	}
	sp, err := w.kind(root, members)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		pointer := "/predicate/" + escapePointer(m.name)
		_, f := sp.shape.lookup(m.name, 0)
		switch {
		case m.name == "kind":
		case m.name == "about":
			w.about(m.value)
		case m.name == "document":
			w.document(m.value, sp)
		case f == nil:
			w.fault(m.value, pointer, "is no field of kind %s%s", sp.kind, didYouMean(m.name, append(sp.shape.fieldNames(), "about")))
		default:
			w.predicate = append(w.predicate, Member{m.name, w.value(m.value, f.shape, pointer)})
		}
	}
	return sp, nil
}

// parseNodes reads one document; JSON that is JSON is not left to YAML, which
// reads some of it otherwise.
func parseNodes(raw []byte) (*yaml.Node, error) {
	if v, err := ParseJSON(raw); err == nil {
		return nodeOf(v), nil
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

func nodeOf(v any) *yaml.Node {
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
			n.Content = append(n.Content, nodeOf(item))
		}
		return n
	}
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, m := range v.(Object) {
		n.Content = append(n.Content, nodeOf(m.Name), nodeOf(m.Value))
	}
	return n
}

type yamlMember struct {
	name  string
	value *yaml.Node
}

// members are a mapping's, each name once; they note where each stands.
func (w *writing) members(n *yaml.Node, pointer string) ([]yamlMember, bool) {
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

func (w *writing) kind(root *yaml.Node, members []yamlMember) (*spec, error) {
	for _, m := range members {
		if m.name == "kind" {
			sp, err := mustSpec(Kind(m.value.Value))
			if err != nil {
				return nil, Refuse(Unsupported, "line %d: %v", m.value.Line, err)
			}
			return sp, nil
		}
	}
	return nil, w.refuse([]Fault{{"/predicate/kind", "is missing: say what kind of record this is; docket new KIND prints a template"}})
}

var plainInteger = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,15})$`)

// value is the node as its shape reads it. What does not fit becomes what it looks
// like, for the decoder to refuse.
func (w *writing) value(n *yaml.Node, sh *shape, pointer string) any {
	if _, known := w.lines[pointer]; !known {
		w.lines[pointer] = n.Line
	}
	if sh == nil {
		sh = &shape{is: isString}
	}
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		w.fault(n, pointer, "uses an anchor or alias: write the value out")
	case n.Style&yaml.TaggedStyle != 0:
		w.fault(n, pointer, "has a tag (%s): write the value alone", n.Tag)
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		w.fault(n, pointer, "has no value: write one, or leave the line out")
	case n.Kind == yaml.ScalarNode:
		return scalar(n, sh)
	case n.Kind == yaml.SequenceNode:
		list := []any{}
		for i, item := range n.Content {
			list = append(list, w.value(item, sh.item, fmt.Sprintf("%s/%d", pointer, i)))
		}
		return list
	default:
		return w.mapping(n, sh, pointer)
	}
	return ""
}

func scalar(n *yaml.Node, sh *shape) any {
	if plain := n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0; plain {
		switch {
		case sh.is == isInteger && plainInteger.MatchString(n.Value):
			v, err := strconv.ParseInt(n.Value, 10, 64)
			if err == nil && v <= MaxInteger && v >= -MaxInteger {
				return v
			}
		case sh.is == isBoolean && (n.Value == "true" || n.Value == "false"):
			return n.Value == "true"
		}
	}
	return n.Value
}

func (w *writing) mapping(n *yaml.Node, sh *shape, pointer string) any {
	members, _ := w.members(n, pointer)
	if v, ok := w.special(n, members, sh, pointer); ok {
		return v
	}
	if sh.is == isFragment {
		sh = sh.fragment
	}
	o := Object{}
	for _, m := range members {
		var inner *shape
		if sh.is == isMap {
			inner = sh.item
		} else if _, f := sh.lookup(m.name, 0); f != nil {
			inner = f.shape
		}
		o = append(o, Member{m.name, w.value(m.value, inner, pointer+"/"+escapePointer(m.name))})
	}
	return o
}

// special are the mappings that stand for something else: a key's file, a value to
// commit to.
func (w *writing) special(n *yaml.Node, members []yamlMember, sh *shape, pointer string) (any, bool) {
	if len(members) != 1 || members[0].value.Kind != yaml.ScalarNode {
		return nil, false
	}
	name, value := members[0].name, members[0].value.Value
	isCommitment, isDigest := sh.is == isObject && elem(sh.typ) == typeCommitment, sh.is == isObject && elem(sh.typ) == typeDigest
	switch {
	case sh.is == isString && sh.format == FormatPEM && (name == "file" || name == "kms"):
		return w.key(n, name, value, pointer), true
	case (isCommitment || isDigest) && name == "secret" && value == "":
		w.fault(n, pointer, "commits to nothing: {secret: \"12\"}")
		return Object{}, true
	case isCommitment && name == "secret":
		w.secret(pointer, value)
		return Object{{"commit", placeholder}}, true
	case isDigest && name == "secret":
		w.secret(pointer, value)
		return Object{{"sha256", placeholder}}, true
	case isDigest && name == "file":
		if doc, ok := w.file(n, value, pointer); ok {
			w.secret(pointer, hex.EncodeToString(doc.SHA256[:]))
		}
		return Object{{"sha256", placeholder}}, true
	}
	return nil, false
}

// secret notes a value to commit to, by its pointer from the predicate's root.
func (w *writing) secret(pointer, value string) {
	w.secrets = append(w.secrets, Salt{Pointer: strings.TrimPrefix(pointer, "/predicate"), Value: value})
}

func (w *writing) key(n *yaml.Node, how, where, pointer string) any {
	load := w.env.Key
	if how == "kms" {
		load = w.env.KMS
	}
	if load == nil {
		w.fault(n, pointer, "names a key (%s), and this input cannot read one: write the PEM", where)
		return ""
	}
	pem, err := load(where)
	if err != nil {
		w.fault(n, pointer, "%v", err)
	}
	return string(pem)
}

func (w *writing) file(n *yaml.Node, name, pointer string) (DocumentFile, bool) {
	if w.env.Document == nil {
		w.fault(n, pointer, "names a file (%s), and this input cannot read one: write its sha256", name)
		return DocumentFile{}, false
	}
	doc, err := w.env.Document(name)
	if err != nil {
		w.fault(n, pointer, "%v", err)
	}
	return doc, err == nil
}

// about reads `about: latest` or `about: RECORD-ID`.
func (w *writing) about(n *yaml.Node) {
	id, err := ParseID(n.Value)
	switch {
	case w.has("/predicate/document"):
		w.fault(n, "/predicate/about", "stands beside document: the subject is one of them")
	case n.Kind == yaml.ScalarNode && n.Value == "latest":
		w.latest = true
	case n.Kind == yaml.ScalarNode && err == nil && !id.IsZero():
		w.subject = Subject{SHA256: id}
	default:
		w.fault(n, "/predicate/about", "want latest, or a record ID of 64 hexadecimal digits")
	}
}

func (w *writing) has(pointer string) bool {
	_, ok := w.lines[pointer]
	return ok
}
