package draft

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/draft/form"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// SubjectSource is what [ShortForm.Fill] must be told to know the subject.
type SubjectSource int

const (
	SubjectGiven           SubjectSource = iota
	SubjectNewestRecord                  // the ID of the newest record on the thread
	SubjectEnrolmentRecord               // the ID of the record that enrolled the party, first on the thread
)

// SubjectLookup is a record that a short form is about, and that only a ledger knows.
type SubjectLookup struct {
	Source SubjectSource
	Thread record.Thread
}

// subjectWithoutDocument is the subject of a record without a document, or what must be asked.
func subjectWithoutDocument(sp *record.Spec, s *record.Statement) (record.Subject, SubjectLookup) {
	keys := record.ListedPartyKeys(s)
	switch {
	case sp.Subject == record.SubjectFirstKey && len(keys) > 0:
		if key, err := keys[0].Key.Key(); err == nil { // else a fault of its own
			return record.Subject{Name: string(s.Thread), SHA256: sha256.Sum256(key.DER())}, SubjectLookup{}
		}
	case sp.Subject == record.SubjectFirstKey, sp.Subject == record.SubjectEnrolment:
		return record.Subject{}, SubjectLookup{SubjectEnrolmentRecord, record.PartyThread(s.Thread.Owner())}
	case sp.Subject == record.SubjectDesignation:
		return record.Subject{}, SubjectLookup{SubjectNewestRecord, s.Thread.About()}
	case sp.Subject == record.SubjectCheckpoint:
		subject := record.Subject{Name: string(s.Thread)}
		if c, ok := s.Predicate.(*record.CustomerLog); ok {
			if cp, err := c.ParsedCheckpoint(); err == nil { // else a fault of its own
				subject.SHA256 = cp.Root
			}
		}
		return subject, SubjectLookup{}
	}
	return record.Subject{}, SubjectLookup{}
}

// readAbout reads `about: latest` or `about: RECORD-ID`.
func (w *shortFormDecoder) readAbout(n *yaml.Node) {
	id, err := record.ParseID(n.Value)
	switch {
	case w.Has("/predicate/document"):
		w.Fault(n, "/predicate/about", "stands beside document: the subject is one of them")
	case n.Kind == yaml.ScalarNode && n.Value == "latest":
		w.aboutLatest = true
	case n.Kind == yaml.ScalarNode && err == nil && !id.IsZero():
		w.subject = record.Subject{SHA256: id}
	case n.Kind == yaml.ScalarNode && n.Value != "":
		w.Fault(n, "/predicate/about", "is %s; want latest, or a record ID of 64 hexadecimal digits%s", schema.Quote(n.Value), schema.DidYouMean(n.Value, []string{"latest"}))
	default:
		w.Fault(n, "/predicate/about", "want latest, or a record ID of 64 hexadecimal digits")
	}
}

// readDocument reads `document: {file, url, private}`: the file's digest is the
// subject, and the members of [record.Document] that are written stand; the others come
// from the file, except where it is private. For a document that is not at hand
// {sha256: …} takes the place of the file.
func (w *shortFormDecoder) readDocument(n *yaml.Node, sp *record.Spec) {
	const pointer = "/predicate/document"
	members, ok := w.Members(n, pointer)
	if !ok {
		w.Fault(n, pointer, "want members: {file: order.pdf}")
		return
	}
	shape := sp.Shape.Field("document").Shape
	var file, named DocumentFile
	var written schema.Object
	for _, m := range members {
		at := pointer + "/" + schema.EscapePointer(m.Name)
		f := shape.Field(m.Name)
		switch {
		case m.Name == "file":
			file, _ = w.loadFile(m.Value, m.Value.Value, at)
		case m.Name == "sha256":
			if fault := schema.FormatSHA256.Fault(m.Value.Value); fault != "" {
				w.Fault(m.Value, at, "%s", fault)
			}
			hex.Decode(named.SHA256[:], []byte(m.Value.Value))
		case m.Name == "private":
			private, isBool := form.Scalar(m.Value, &schema.Shape{Type: schema.TypeBoolean}).(bool)
			if w.private = private; !isBool {
				w.Fault(m.Value, at, "is %s; want true or false", schema.Quote(m.Value.Value))
			}
		case f == nil:
			w.Fault(m.Value, at, "is no field of document%s", schema.DidYouMean(m.Name, append(shape.FieldNames(), "file", "private", "sha256")))
		default:
			written = append(written, schema.Member{Name: m.Name, Value: w.Value(m.Value, f.Shape, at)})
		}
	}
	none := [32]byte{}
	switch {
	case len(w.Faults) > 0:
		return
	case file.SHA256 == none && named.SHA256 == none:
		w.Fault(n, pointer, "names no file: {file: order.pdf}")
		return
	case file.SHA256 == none:
		file.SHA256 = named.SHA256
	case named.SHA256 != none && named.SHA256 != file.SHA256:
		w.Fault(n, pointer+"/sha256", "is not the file's, which is %x", file.SHA256)
		return
	}
	w.setSubject(n, sp, file, written)
}

// setSubject makes the document's digest the subject, or a commitment to it where the
// kind keeps its documents private.
func (w *shortFormDecoder) setSubject(n *yaml.Node, sp *record.Spec, file DocumentFile, written schema.Object) {
	const pointer = "/predicate/document"
	switch {
	case sp.Subject == record.SubjectEnrolment, sp.Subject == record.SubjectDesignation, sp.Subject == record.SubjectCheckpoint:
		w.Fault(n, pointer, "is not what a record of kind %s is about, which is %s: leave it out", sp.Kind, map[record.SubjectRule]string{
			record.SubjectEnrolment: "the party's enrolment", record.SubjectDesignation: "a record of the designation (about: latest)",
			record.SubjectCheckpoint: "the root of its checkpoint",
		}[sp.Subject])
		return
	case sp.Subject == record.SubjectFirstKey && file.Name == "" && len(written) == 0:
		w.Fault(n, pointer, "needs a name beside its sha256: without a word about a document, a record of kind %s is about a key", sp.Kind)
		return
	case sp.PrivateSubject && !w.private:
		w.Fault(n, pointer, "is private for kind %s: add private: true, and a commitment to its digest is published", sp.Kind)
		return
	case w.private && !sp.PrivateSubject && !sp.SealableSubject:
		w.Fault(n, pointer+"/private", "is true, but a record of kind %s publishes its document's digest: leave it out", sp.Kind)
		return
	case w.private:
		w.addSecret("/subject", hex.EncodeToString(file.SHA256[:]))
	default:
		w.subject = record.Subject{Name: file.Name, SHA256: file.SHA256}
		if file.Name != "" {
			written = addFileMembers(written, file)
		}
	}
	if len(written) > 0 {
		w.predicate = append(w.predicate, schema.Member{Name: "document", Value: written})
	}
}

// addFileMembers adds the members that the file itself gives and the short form left
// out.
func addFileMembers(written schema.Object, file DocumentFile) schema.Object {
	mediaType, _, _ := strings.Cut(file.MediaType, ";")
	for _, m := range (schema.Object{
		{Name: "name", Value: file.Name}, {Name: "mediaType", Value: strings.TrimSpace(mediaType)}, {Name: "bytes", Value: file.Bytes},
	}) {
		if m.Value != "" && written.Lookup(m.Name) == nil {
			written = append(written, m)
		}
	}
	return written
}
