package record

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// plainInteger is how a whole number is written, up to the digits of [MaxInteger].
var plainInteger = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,15})$`)

// field is the value of a member, which a required one has to have.
func (w *shortFormDecoder) field(n *yaml.Node, f *field, pointer string) any {
	if f.required && n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		w.fault(n, pointer, "has no value, and is required")
		return ""
	}
	return w.value(n, f.shape, pointer)
}

// value is the node as its shape reads it. What does not fit becomes what it looks
// like, for the decoder to refuse.
func (w *shortFormDecoder) value(n *yaml.Node, sh *shape, pointer string) any {
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
	case n.Kind == yaml.ScalarNode && sh.is == isObject && derefType(sh.typ) == typeCommitment:
		w.fault(n, pointer, "is a commitment, not published: write {secret: %s}", quote(n.Value))
	case n.Kind == yaml.ScalarNode:
		return scalarValue(n, sh)
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

func scalarValue(n *yaml.Node, sh *shape) any {
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

func (w *shortFormDecoder) mapping(n *yaml.Node, sh *shape, pointer string) any {
	members, _ := w.members(n, pointer)
	if v, ok := w.substitution(n, members, sh, pointer); ok {
		return v
	}
	if sh.is == isFragment {
		sh = sh.fragment
	}
	o := Object{}
	for _, m := range members {
		inner, at := &field{}, pointer+"/"+escapePointer(m.name)
		if sh.is == isMap {
			inner.shape = sh.item
		} else if _, f := sh.lookupField(m.name, 0); f != nil {
			inner = f
		}
		o = append(o, Member{m.name, w.field(m.value, inner, at)})
	}
	return o
}

// substitution are the mappings that stand for something else: a key's file, a value to
// commit to.
func (w *shortFormDecoder) substitution(n *yaml.Node, members []yamlMember, sh *shape, pointer string) (any, bool) {
	if len(members) != 1 || members[0].value.Kind != yaml.ScalarNode {
		return nil, false
	}
	name, value := members[0].name, members[0].value.Value
	isCommitment, isDigest := sh.is == isObject && derefType(sh.typ) == typeCommitment, sh.is == isObject && derefType(sh.typ) == typeDigest
	switch {
	case sh.is == isString && sh.format == FormatPEM && (name == "file" || name == "kms"):
		return w.loadKey(n, name, value, pointer), true
	case (isCommitment || isDigest) && name == "secret" && value == "":
		w.fault(n, pointer, "commits to nothing: {secret: \"12\"}")
		return Object{}, true
	case isCommitment && name == "secret":
		w.addSecret(pointer, value)
		return Object{{"commit", zeroDigest}}, true
	case isDigest && name == "secret":
		w.addSecret(pointer, value)
		return Object{{"sha256", zeroDigest}}, true
	case isDigest && name == "file":
		if doc, ok := w.loadFile(n, value, pointer); ok {
			w.addSecret(pointer, hex.EncodeToString(doc.SHA256[:]))
		}
		return Object{{"sha256", zeroDigest}}, true
	}
	return nil, false
}

// addSecret notes a value to commit to, by its pointer from the predicate's root.
func (w *shortFormDecoder) addSecret(pointer, value string) {
	w.secrets = append(w.secrets, Opening{Pointer: strings.TrimPrefix(pointer, "/predicate"), Value: value})
}

func (w *shortFormDecoder) loadKey(n *yaml.Node, how, where, pointer string) any {
	load := w.resolver.Key
	if how == "kms" {
		load = w.resolver.KMS
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

func (w *shortFormDecoder) loadFile(n *yaml.Node, name, pointer string) (DocumentFile, bool) {
	if w.resolver.Document == nil {
		w.fault(n, pointer, "names a file (%s), and this input cannot read one: write its sha256", name)
		return DocumentFile{}, false
	}
	doc, err := w.resolver.Document(name)
	if err != nil {
		w.fault(n, pointer, "%v", err)
	}
	return doc, err == nil
}

// readAbout reads `about: latest` or `about: RECORD-ID`.
func (w *shortFormDecoder) readAbout(n *yaml.Node) {
	id, err := ParseID(n.Value)
	switch {
	case w.has("/predicate/document"):
		w.fault(n, "/predicate/about", "stands beside document: the subject is one of them")
	case n.Kind == yaml.ScalarNode && n.Value == "latest":
		w.aboutLatest = true
	case n.Kind == yaml.ScalarNode && err == nil && !id.IsZero():
		w.subject = Subject{SHA256: id}
	case n.Kind == yaml.ScalarNode && n.Value != "":
		w.fault(n, "/predicate/about", "is %s; want latest, or a record ID of 64 hexadecimal digits%s", quote(n.Value), didYouMean(n.Value, []string{"latest"}))
	default:
		w.fault(n, "/predicate/about", "want latest, or a record ID of 64 hexadecimal digits")
	}
}

func (w *shortFormDecoder) has(pointer string) bool {
	_, ok := w.lines[pointer]
	return ok
}
