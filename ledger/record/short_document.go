package record

import (
	"encoding/hex"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

var (
	typeCommitment = reflect.TypeFor[Commitment]()
	typeDigest     = reflect.TypeFor[Digest]()
	documentShape  = objectShape(reflect.TypeFor[Document]())
)

func elem(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// document reads `document: {file, url, private}`: the file's digest is the
// subject, and the members of [Document] that are written stand; the others come
// from the file, except where it is private. For a document that is not at hand
// {sha256: …} takes the place of the file.
func (w *writing) document(n *yaml.Node, sp *spec) {
	const pointer = "/predicate/document"
	members, ok := w.members(n, pointer)
	if !ok {
		w.fault(n, pointer, "want members: {file: order.pdf}")
		return
	}
	var file DocumentFile
	var written Object
	found := false
	for _, m := range members {
		at := pointer + "/" + escapePointer(m.name)
		_, f := documentShape.lookup(m.name, 0)
		switch {
		case m.name == "file":
			file, found = w.file(m.value, m.value.Value, at)
		case m.name == "sha256":
			if fault := FormatSHA256.Fault(m.value.Value); fault != "" {
				w.fault(m.value, at, "%s", fault)
			}
			hex.Decode(file.SHA256[:], []byte(m.value.Value))
		case m.name == "private":
			w.private = scalar(m.value, &shape{is: isBoolean}) == true
		case f == nil:
			w.fault(m.value, at, "is no field of document%s", didYouMean(m.name, append(documentShape.fieldNames(), "file", "private", "sha256")))
		default:
			written = append(written, Member{m.name, w.value(m.value, f.shape, at)})
		}
	}
	switch {
	case len(w.faults) > 0:
		return
	case file.SHA256 == [32]byte{}:
		w.fault(n, pointer, "names no file: {file: order.pdf}")
		return
	case sp.private && !w.private:
		w.fault(n, pointer, "is private for kind %s: add private: true, and a commitment to its digest is published", sp.kind)
		return
	}
	if w.private {
		w.secret("/subject", hex.EncodeToString(file.SHA256[:]))
	} else {
		w.subject = Subject{Name: file.Name, SHA256: file.SHA256}
		if found {
			written = describeFile(written, file)
		}
	}
	if len(written) > 0 {
		w.predicate = append(w.predicate, Member{"document", written})
	}
}

// describeFile adds what the file says of itself and nobody wrote.
func describeFile(written Object, file DocumentFile) Object {
	mediaType, _, _ := strings.Cut(file.MediaType, ";")
	for _, m := range (Object{{"name", file.Name}, {"mediaType", strings.TrimSpace(mediaType)}, {"bytes", file.Bytes}}) {
		if m.Value != "" && written.Lookup(m.Name) == nil {
			written = append(written, m)
		}
	}
	return written
}
