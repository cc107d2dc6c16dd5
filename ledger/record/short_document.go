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

func derefType(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// readDocument reads `document: {file, url, private}`: the file's digest is the
// subject, and the members of [Document] that are written stand; the others come
// from the file, except where it is private. For a document that is not at hand
// {sha256: …} takes the place of the file.
func (w *shortFormDecoder) readDocument(n *yaml.Node, sp *kindSpec) {
	const pointer = "/predicate/document"
	members, ok := w.members(n, pointer)
	if !ok {
		w.fault(n, pointer, "want members: {file: order.pdf}")
		return
	}
	var file, named DocumentFile
	var written Object
	for _, m := range members {
		at := pointer + "/" + escapePointer(m.name)
		_, f := documentShape.lookupField(m.name, 0)
		switch {
		case m.name == "file":
			file, _ = w.loadFile(m.value, m.value.Value, at)
		case m.name == "sha256":
			if fault := FormatSHA256.Fault(m.value.Value); fault != "" {
				w.fault(m.value, at, "%s", fault)
			}
			hex.Decode(named.SHA256[:], []byte(m.value.Value))
		case m.name == "private":
			private, isBool := scalarValue(m.value, &shape{is: isBoolean}).(bool)
			if w.private = private; !isBool {
				w.fault(m.value, at, "is %s; want true or false", quote(m.value.Value))
			}
		case f == nil:
			w.fault(m.value, at, "is no field of document%s", didYouMean(m.name, append(documentShape.fieldNames(), "file", "private", "sha256")))
		default:
			written = append(written, Member{m.name, w.value(m.value, f.shape, at)})
		}
	}
	none := [32]byte{}
	switch {
	case len(w.faults) > 0:
		return
	case file.SHA256 == none && named.SHA256 == none:
		w.fault(n, pointer, "names no file: {file: order.pdf}")
		return
	case file.SHA256 == none:
		file.SHA256 = named.SHA256
	case named.SHA256 != none && named.SHA256 != file.SHA256:
		w.fault(n, pointer+"/sha256", "is not the file's, which is %x", file.SHA256)
		return
	}
	w.setSubject(n, sp, file, written)
}

// setSubject makes the document's digest the subject, or a commitment to it where the
// kind keeps its documents private.
func (w *shortFormDecoder) setSubject(n *yaml.Node, sp *kindSpec, file DocumentFile, written Object) {
	const pointer = "/predicate/document"
	switch {
	case sp.subject == subjectEnrolment, sp.subject == subjectDesignation:
		w.fault(n, pointer, "is not what a record of kind %s is about, which is %s: leave it out", sp.kind, map[subjectRule]string{
			subjectEnrolment: "the party's enrolment", subjectDesignation: "a record of the designation (about: latest)",
		}[sp.subject])
		return
	case sp.subject == subjectFirstKey && file.Name == "" && len(written) == 0:
		w.fault(n, pointer, "needs a name beside its sha256: without a word about a document, a record of kind %s is about a key", sp.kind)
		return
	case sp.privateSubject && !w.private:
		w.fault(n, pointer, "is private for kind %s: add private: true, and a commitment to its digest is published", sp.kind)
		return
	case w.private && !sp.privateSubject:
		w.fault(n, pointer+"/private", "is true, but a record of kind %s publishes its document's digest: leave it out", sp.kind)
		return
	case w.private:
		w.addSecret("/subject", hex.EncodeToString(file.SHA256[:]))
	default:
		w.subject = Subject{Name: file.Name, SHA256: file.SHA256}
		if file.Name != "" {
			written = addFileMembers(written, file)
		}
	}
	if len(written) > 0 {
		w.predicate = append(w.predicate, Member{"document", written})
	}
}

// addFileMembers adds what the file says of itself and nobody wrote.
func addFileMembers(written Object, file DocumentFile) Object {
	mediaType, _, _ := strings.Cut(file.MediaType, ";")
	for _, m := range (Object{{"name", file.Name}, {"mediaType", strings.TrimSpace(mediaType)}, {"bytes", file.Bytes}}) {
		if m.Value != "" && written.Lookup(m.Name) == nil {
			written = append(written, m)
		}
	}
	return written
}
