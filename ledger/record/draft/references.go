package draft

import (
	"encoding/base64"
	"encoding/hex"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft/form"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// substitution are the mappings that stand for something else: a key's file, a value to
// commit to.
func (w *shortFormDecoder) substitution(n *yaml.Node, members []form.Member, sh *schema.Shape, pointer string) (any, bool) {
	if len(members) != 1 || members[0].Value.Kind != yaml.ScalarNode {
		return nil, false
	}
	name, value := members[0].Name, members[0].Value.Value
	isCommitment, isDigest := sh.GoType == goCommitment || sh.Type == schema.TypeSealable, sh.GoType == goDigest
	switch {
	case sh.GoType == goPEM && (name == "file" || name == "kms"):
		return w.loadKey(n, name, value, pointer), true
	case sh.GoType == goRequestOpen && name == "file":
		return w.loadOpen(n, value, pointer), true
	case isLongText(sh) && name == "file":
		return w.loadText(n, value, pointer), true
	case (isCommitment || isDigest) && name == "secret" && value == "":
		w.Fault(n, pointer, "commits to nothing: {secret: \"12\"}")
		return schema.Object{}, true
	case isCommitment && name == "secret":
		w.addSecret(pointer, value)
		return schema.Object{{Name: "commit", Value: zeroDigest}}, true
	case isDigest && name == "secret":
		w.addSecret(pointer, value)
		return schema.Object{{Name: "sha256", Value: zeroDigest}}, true
	case isDigest && name == "file":
		if doc, ok := w.loadFile(n, value, pointer); ok {
			if w.files == nil {
				w.files = make(map[string]string)
			}
			w.files[strings.TrimPrefix(pointer, "/predicate")] = value
			w.addSecret(pointer, hex.EncodeToString(doc.SHA256[:]))
		}
		return schema.Object{{Name: "sha256", Value: zeroDigest}}, true
	}
	return nil, false
}

// addSecret notes a value to commit to, by its pointer from the predicate's root.
func (w *shortFormDecoder) addSecret(pointer, value string) {
	w.secrets = append(w.secrets, record.Opening{Pointer: strings.TrimPrefix(pointer, "/predicate"), Value: value})
}

func (w *shortFormDecoder) loadKey(n *yaml.Node, how, where, pointer string) any {
	load := w.resolver.Key
	if how == "kms" {
		load = w.resolver.KMS
	}
	if load == nil {
		w.Fault(n, pointer, "names a key (%s), and this input cannot read one: write the PEM", where)
		return ""
	}
	pem, err := load(where)
	if err != nil {
		w.Fault(n, pointer, "%v", err)
	}
	return string(pem)
}

// loadOpen opens what a sealed request committed to, by its salts file.
func (w *shortFormDecoder) loadOpen(n *yaml.Node, name, pointer string) schema.Object {
	if w.resolver.Salts == nil {
		w.Fault(n, pointer, "names a file (%s), and this input cannot read one: write type, provider and salts", name)
		return nil
	}
	openings, err := w.resolver.Salts(name)
	if err != nil {
		w.Fault(n, pointer, "%v", err)
		return nil
	}
	var values, salts schema.Object
	for _, field := range []string{"type", "provider"} {
		at := slices.IndexFunc(openings, func(o record.Opening) bool { return o.Pointer == "/"+field })
		if at < 0 {
			w.Fault(n, pointer, "names %s, which has no salt of /%s: it is no sealed request's", name, field)
			return nil
		}
		values = append(values, schema.Member{Name: field, Value: openings[at].Value})
		salts = append(salts, schema.Member{Name: field, Value: base64.StdEncoding.EncodeToString(openings[at].Salt)})
	}
	return append(values, schema.Member{Name: "salts", Value: salts})
}

// loadText reads a text of whole lines, which is a policy.
func (w *shortFormDecoder) loadText(n *yaml.Node, name, pointer string) any {
	if w.resolver.Policy == nil {
		w.Fault(n, pointer, "names a file (%s), and this input cannot read one: write the text", name)
		return ""
	}
	text, err := w.resolver.Policy(name)
	if err != nil {
		w.Fault(n, pointer, "%v", err)
	}
	return text
}

func (w *shortFormDecoder) loadFile(n *yaml.Node, name, pointer string) (DocumentFile, bool) {
	if w.resolver.Document == nil {
		w.Fault(n, pointer, "names a file (%s), and this input cannot read one: write its sha256", name)
		return DocumentFile{}, false
	}
	doc, err := w.resolver.Document(name)
	if err != nil {
		w.Fault(n, pointer, "%v", err)
	}
	return doc, err == nil
}

var (
	goCommitment = reflect.TypeFor[record.Commitment]()
	goDigest     = reflect.TypeFor[record.Digest]()
	goPEM        = reflect.TypeFor[record.PEM]()

	goRequestOpen = reflect.TypeFor[record.RequestOpen]()
)
