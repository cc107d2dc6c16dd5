// Package draft helps people and programs to write records: it reads short forms, prints
// templates to fill in, fills in what only a ledger knows, and signs with a key file or a
// KMS. What it makes is judged as anybody's: package record is the law, and nothing that
// judges imports this package. It does no I/O but [LoadKMSSigner].
//
//	kind: response
//	thread: response/2026-014/acme-cloud
//	about: latest
//	issuer: acme-cloud
//	status: no-relationship
//
// [ParseShortForm] reads this, [ShortForm.Fill] makes the payload of it, and [Signer.Sign] the
// envelope that a ledger admits. One or more of each kind are in the folder examples.
package draft

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// maxShortFormBytes is the most bytes of a short form that is read.
const maxShortFormBytes = 1 << 20

// ShortFormResolver reads the files and keys that a short form names, because this
// package does no I/O. A nil function refuses the reference.
type ShortFormResolver struct {
	Document func(file string) (DocumentFile, error)     // document: {file: …}
	Key      func(file string) (record.PEM, error)       // key: {file: …}
	KMS      func(uri string) (record.PEM, error)        // key: {kms: …}
	Salts    func(file string) ([]record.Opening, error) // open: {file: …}
	Policy   func(file string) (string, error)           // policy: {file: …}
}

// DocumentFile is what a record tells of a document.
type DocumentFile struct {
	Name      string // without folders
	MediaType string // type/subtype; parameters are dropped
	Bytes     int64
	SHA256    [32]byte
}

// ShortForm is a record as people write it (RECORDS.md "Every record"), read and
// judged as far as it can be before a ledger is known; [ShortForm.Fill] makes the
// payload.
type ShortForm struct {
	// Statement is what was written. Commitments are still zeros, and ledger,
	// follows, issuedAt, the subject may be missing.
	Statement *record.Statement
	// SubjectLookup is the record to look up for [FillValues.SubjectRecord], if any.
	SubjectLookup SubjectLookup
	// RequestThread is that of the request whose newest record a receipt answers with
	// `request: latest`, for [FillValues.Request]; else "".
	RequestThread record.Thread

	payload   []byte           // of a whole statement, which nothing can be added to
	predicate schema.Object    // as written, placeholders for commitments
	secrets   []record.Opening // still without salt; all but the subject's in predicate
	subject   record.Subject
	lines     map[string]int
}

// ParseShortForm reads a short form, YAML or JSON, against the schema of its kind: in
// a string field a scalar stays as written (0123456, 2026-11-23, no). A whole
// statement as JSON is taken too, and then stays as it is. Errors are a
// *[ShortFormError] with every fault and its line, or a *[record.Refusal].
func ParseShortForm(raw []byte, resolver ShortFormResolver) (*ShortForm, error) {
	if len(raw) > maxShortFormBytes {
		return nil, &record.Refusal{Class: record.TooLarge, Detail: fmt.Sprintf("reading record: %d bytes; at most %d are read", len(raw), maxShortFormBytes), Limit: maxShortFormBytes, Size: len(raw)}
	}
	if whole, err := parseFullStatement(raw); whole != nil || err != nil {
		return whole, err
	}
	w := &shortFormDecoder{resolver: resolver, lines: map[string]int{}}
	sp, err := w.read(raw)
	if err != nil {
		return nil, err
	}
	sh := &ShortForm{predicate: w.predicate, secrets: w.secrets, subject: w.subject, lines: w.lines}
	faults := append(w.faults, sh.decodeDraft(sp, w)...)
	if len(faults) > 0 {
		return nil, w.shortFormError(faults)
	}
	return sh, nil
}

// parseFullStatement reads raw if it is an in-toto statement, nil if it is not.
func parseFullStatement(raw []byte) (*ShortForm, error) {
	if trimmed := bytes.TrimSpace(raw); len(trimmed) == 0 || trimmed[0] != '{' || !bytes.Contains(raw, []byte(`"predicateType"`)) {
		return nil, nil
	}
	s, err := record.ParseStatement(raw)
	if err != nil {
		return nil, err
	}
	return &ShortForm{Statement: s, payload: bytes.Clone(raw)}, nil
}

// decodeDraft finds the faults that no ledger could heal, and settles the subject.
func (sh *ShortForm) decodeDraft(sp *record.Spec, w *shortFormDecoder) []record.Fault {
	s, faults := record.DecodeDraft(sp, w.predicate)
	sh.Statement = s
	if faults = w.dropNested(faults); len(faults) > 0 || len(w.faults) > 0 {
		return faults
	}
	if w.requestLatest {
		sh.RequestThread = s.Thread.About()
	}
	switch {
	case w.aboutLatest:
		sh.SubjectLookup = SubjectLookup{SubjectNewestRecord, s.Thread.About()}
	case w.subject == record.Subject{} && !w.private:
		sh.subject, sh.SubjectLookup = subjectWithoutDocument(sp, s)
		if sh.subject == (record.Subject{}) && sh.SubjectLookup.Source == SubjectGiven {
			return []record.Fault{{Pointer: "/predicate/document", Detail: "is missing: name the file, document: {file: …}, or say about: RECORD-ID"}}
		}
	}
	s.Subject = sh.subject
	if faults := w.sealedInTheOpen(sp, s); len(faults) > 0 {
		return faults
	}
	return draftFaults(s)
}

// sealedInTheOpen is the fault of a sealed record whose document is public.
func (w *shortFormDecoder) sealedInTheOpen(sp *record.Spec, s *record.Statement) []record.Fault {
	if !sp.SealableSubject || !s.IsSealed() || w.private || !w.has("/predicate/document") {
		return nil
	}
	return []record.Fault{{Pointer: "/predicate/document", Detail: "is of a sealed record: add private: true, and a commitment to its digest is published"}}
}

// draftFaults are those of the rules across fields that hold whether the record
// turns out to be the first on its thread or not.
func draftFaults(s *record.Statement) []record.Fault {
	first := s.CrossFieldFaults()
	if !s.Follows.IsZero() {
		return first
	}
	follower := *s
	follower.Follows = record.ID{1}
	follower.Ledger = record.ID{1}
	var both []record.Fault
	for _, fault := range follower.CrossFieldFaults() {
		for _, f := range first {
			if f == fault {
				both = append(both, f)
			}
		}
	}
	return both
}

// FillValues is what only the ledger and the clock know.
type FillValues struct {
	Ledger        record.ID // the charter's record ID; zero for the charter at index 0
	Follows       record.ID // newest record on the thread; zero for none
	IssuedAt      time.Time // kept to whole milliseconds
	SubjectRecord record.ID // what [ShortForm.SubjectLookup] asked for
	Request       record.ID // the newest record on [ShortForm.RequestThread]
}

// Fill completes the record and encodes it: what was written stands, what is absent is
// taken from f. It draws a salt for each secret; the commitments cannot be opened
// without the returned openings. A second call draws new salts. The payload is one that
// [record.ParseStatement] accepts.
func (sh *ShortForm) Fill(f FillValues) (payload []byte, salts []record.Opening, err error) {
	if sh.payload != nil {
		return bytes.Clone(sh.payload), nil, nil
	}
	filled := *sh.Statement
	if err := setDefaults(&filled, f); err != nil {
		return nil, nil, err
	}
	filled.Subject = sh.subject
	if sh.SubjectLookup.Source != SubjectGiven {
		if f.SubjectRecord.IsZero() {
			return nil, nil, record.Refuse(record.Invalid, "filling record: its subject is a record on %s, and none is known", sh.SubjectLookup.Thread)
		}
		filled.Subject = record.Subject{Name: string(sh.SubjectLookup.Thread), SHA256: f.SubjectRecord}
	}
	commits := make(map[string]string, len(sh.secrets))
	for _, secret := range sh.secrets {
		salt := record.NewOpening(secret.Pointer, secret.Value)
		commit := salt.Commit(filled.Ledger, filled.Thread).Commit
		commits[salt.Pointer] = commit
		salts = append(salts, salt)
		if salt.Pointer == "/subject" {
			hex.Decode(filled.Subject.SHA256[:], []byte(commit))
		}
	}
	sp, err := record.SpecOf(filled.Kind)
	if err != nil {
		return nil, nil, err
	}
	committed, _ := record.DecodeDraft(sp, fillCommitments(sh.predicate, "", commits).(schema.Object))
	filled.Predicate = committed.Predicate
	if r, ok := filled.Predicate.(*record.DisclosureReceipt); ok && sh.RequestThread != "" {
		if f.Request.IsZero() {
			return nil, nil, record.Refuse(record.Invalid, "filling record: it answers the newest record on %s, and none is known", sh.RequestThread)
		}
		r.Request = f.Request
	}
	payload, err = record.EncodeStatement(&filled)
	return payload, salts, err
}

func setDefaults(s *record.Statement, f FillValues) error {
	if !s.Ledger.IsZero() && !f.Ledger.IsZero() && s.Ledger != f.Ledger {
		return record.InvalidStatement([]record.Fault{{Pointer: "/predicate/ledger", Detail: fmt.Sprintf("is written for ledger %s, this is %s", s.Ledger, f.Ledger)}})
	}
	if s.Ledger.IsZero() {
		s.Ledger = f.Ledger
	}
	if s.Follows.IsZero() {
		s.Follows = f.Follows
	}
	if s.IssuedAt.IsZero() {
		s.IssuedAt = f.IssuedAt.UTC().Truncate(time.Millisecond)
	}
	return nil
}

// fillCommitments is v with the placeholder at each pointer replaced.
func fillCommitments(v any, pointer string, commits map[string]string) any {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = fillCommitments(item, fmt.Sprintf("%s/%d", pointer, i), commits)
		}
		return list
	case schema.Object:
		c, here := commits[pointer]
		o := make(schema.Object, len(v))
		for i, m := range v {
			if here {
				m.Value = c // its one member, commit or sha256
			}
			o[i] = schema.Member{Name: m.Name, Value: fillCommitments(m.Value, pointer+"/"+schema.EscapePointer(m.Name), commits)}
		}
		return o
	}
	return v
}

// ShortFormError lists what is wrong with a short form.
type ShortFormError struct {
	Faults []LineFault
}

// LineFault is a fault and the line on which it stands; 0 where none is known.
type LineFault struct {
	Line int
	record.Fault
}

func (f LineFault) String() string {
	where := strings.ReplaceAll(strings.TrimPrefix(f.Pointer, "/predicate/"), "/", ".")
	if f.Line == 0 {
		return where + " " + f.Detail
	}
	return fmt.Sprintf("line %d: %s %s", f.Line, where, f.Detail)
}

func (e *ShortFormError) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

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

// parseYAML reads one document; JSON that is JSON is not left to YAML, which
// reads some of it otherwise.
func parseYAML(raw []byte) (*yaml.Node, error) {
	if v, err := schema.ParseJSON(raw); err == nil {
		return yamlNodeOf(v), nil
	}
	dec := yaml.NewDecoder(strings.NewReader(string(raw)))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, record.Refuse(record.Malformed, "reading record: the file is empty; docket new KIND prints a template")
	case err != nil:
		return nil, record.Refuse(record.Malformed, "reading record: %s", yamlFault(raw, err))
	}
	if dec.Decode(&more) == nil {
		return nil, record.Refuse(record.Malformed, "reading record: line %d: a second document; one record a file", more.Line)
	}
	return doc.Content[0], nil
}

// joinedColon is a line on which no space stands between a name and its value, which YAML reads
// as one word.
var joinedColon = regexp.MustCompile(`^\s*(?:- )?([A-Za-z]+):([^\s/].*)$`)

// yamlFault says on which line YAML cannot be read, and why, as far as the text shows what people
// mistype: a tab that indents, and no space after a colon.
func yamlFault(raw []byte, err error) string {
	n := 0
	for line := range strings.Lines(string(raw)) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]; strings.Contains(indent, "\t") && strings.TrimSpace(line) != "" {
			return fmt.Sprintf("line %d: a tab stands at its beginning: YAML is indented by spaces alone", n)
		}
		if m := joinedColon.FindStringSubmatch(line); m != nil {
			return fmt.Sprintf("line %d: write a space after the colon: %s: %s", n, m[1], m[2])
		}
	}
	said := strings.TrimPrefix(err.Error(), "yaml: ")
	if !strings.HasPrefix(said, "line ") {
		said = "line 1: " + said // where its parser counts from 0, and leaves that out
	}
	return said
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
	for _, m := range v.(schema.Object) {
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
		at := pointer + "/" + schema.EscapePointer(name.Value)
		switch {
		case name.Kind != yaml.ScalarNode || name.Tag == "!!merge":
			w.fault(name, pointer, "has a name that is not plain text")
		case seen[name.Value]:
			w.fault(name, at, "stands here twice")
		case value.Tag == "!!null" && joinedColon.MatchString(name.Value):
			m := joinedColon.FindStringSubmatch(name.Value)
			w.fault(name, pointer+"/"+m[1], "needs a space after its colon: %s: %s", m[1], m[2])
		default:
			w.lines[at] = name.Line
			seen[name.Value] = true
			out = append(out, yamlMember{name.Value, value})
		}
	}
	return out, true
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

// substitution are the mappings that stand for something else: a key's file, a value to
// commit to.
func (w *shortFormDecoder) substitution(n *yaml.Node, members []yamlMember, sh *schema.Shape, pointer string) (any, bool) {
	if len(members) != 1 || members[0].value.Kind != yaml.ScalarNode {
		return nil, false
	}
	name, value := members[0].name, members[0].value.Value
	isCommitment, isDigest := sh.GoType == goCommitment || sh.Type == schema.TypeSealable, sh.GoType == goDigest
	switch {
	case sh.GoType == goPEM && (name == "file" || name == "kms"):
		return w.loadKey(n, name, value, pointer), true
	case sh.GoType == goRequestOpen && name == "file":
		return w.loadOpen(n, value, pointer), true
	case isLongText(sh) && name == "file":
		return w.loadText(n, value, pointer), true
	case (isCommitment || isDigest) && name == "secret" && value == "":
		w.fault(n, pointer, "commits to nothing: {secret: \"12\"}")
		return schema.Object{}, true
	case isCommitment && name == "secret":
		w.addSecret(pointer, value)
		return schema.Object{{Name: "commit", Value: zeroDigest}}, true
	case isDigest && name == "secret":
		w.addSecret(pointer, value)
		return schema.Object{{Name: "sha256", Value: zeroDigest}}, true
	case isDigest && name == "file":
		if doc, ok := w.loadFile(n, value, pointer); ok {
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
		w.fault(n, pointer, "names a key (%s), and this input cannot read one: write the PEM", where)
		return ""
	}
	pem, err := load(where)
	if err != nil {
		w.fault(n, pointer, "%v", err)
	}
	return string(pem)
}

// loadOpen opens what a sealed request committed to, by its salts file.
func (w *shortFormDecoder) loadOpen(n *yaml.Node, name, pointer string) schema.Object {
	if w.resolver.Salts == nil {
		w.fault(n, pointer, "names a file (%s), and this input cannot read one: write type, provider and salts", name)
		return nil
	}
	openings, err := w.resolver.Salts(name)
	if err != nil {
		w.fault(n, pointer, "%v", err)
		return nil
	}
	var values, salts schema.Object
	for _, field := range []string{"type", "provider"} {
		at := slices.IndexFunc(openings, func(o record.Opening) bool { return o.Pointer == "/"+field })
		if at < 0 {
			w.fault(n, pointer, "names %s, which has no salt of /%s: it is no sealed request's", name, field)
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
		w.fault(n, pointer, "names a file (%s), and this input cannot read one: write the text", name)
		return ""
	}
	text, err := w.resolver.Policy(name)
	if err != nil {
		w.fault(n, pointer, "%v", err)
	}
	return text
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
	id, err := record.ParseID(n.Value)
	switch {
	case w.has("/predicate/document"):
		w.fault(n, "/predicate/about", "stands beside document: the subject is one of them")
	case n.Kind == yaml.ScalarNode && n.Value == "latest":
		w.aboutLatest = true
	case n.Kind == yaml.ScalarNode && err == nil && !id.IsZero():
		w.subject = record.Subject{SHA256: id}
	case n.Kind == yaml.ScalarNode && n.Value != "":
		w.fault(n, "/predicate/about", "is %s; want latest, or a record ID of 64 hexadecimal digits%s", schema.Quote(n.Value), schema.DidYouMean(n.Value, []string{"latest"}))
	default:
		w.fault(n, "/predicate/about", "want latest, or a record ID of 64 hexadecimal digits")
	}
}

func (w *shortFormDecoder) has(pointer string) bool {
	_, ok := w.lines[pointer]
	return ok
}

var (
	goCommitment = reflect.TypeFor[record.Commitment]()
	goDigest     = reflect.TypeFor[record.Digest]()
	goPEM        = reflect.TypeFor[record.PEM]()

	goRequestOpen = reflect.TypeFor[record.RequestOpen]()
)

// readDocument reads `document: {file, url, private}`: the file's digest is the
// subject, and the members of [record.Document] that are written stand; the others come
// from the file, except where it is private. For a document that is not at hand
// {sha256: …} takes the place of the file.
func (w *shortFormDecoder) readDocument(n *yaml.Node, sp *record.Spec) {
	const pointer = "/predicate/document"
	members, ok := w.members(n, pointer)
	if !ok {
		w.fault(n, pointer, "want members: {file: order.pdf}")
		return
	}
	shape := sp.Shape.Field("document").Shape
	var file, named DocumentFile
	var written schema.Object
	for _, m := range members {
		at := pointer + "/" + schema.EscapePointer(m.name)
		f := shape.Field(m.name)
		switch {
		case m.name == "file":
			file, _ = w.loadFile(m.value, m.value.Value, at)
		case m.name == "sha256":
			if fault := schema.FormatSHA256.Fault(m.value.Value); fault != "" {
				w.fault(m.value, at, "%s", fault)
			}
			hex.Decode(named.SHA256[:], []byte(m.value.Value))
		case m.name == "private":
			private, isBool := scalarValue(m.value, &schema.Shape{Type: schema.TypeBoolean}).(bool)
			if w.private = private; !isBool {
				w.fault(m.value, at, "is %s; want true or false", schema.Quote(m.value.Value))
			}
		case f == nil:
			w.fault(m.value, at, "is no field of document%s", schema.DidYouMean(m.name, append(shape.FieldNames(), "file", "private", "sha256")))
		default:
			written = append(written, schema.Member{Name: m.name, Value: w.value(m.value, f.Shape, at)})
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
func (w *shortFormDecoder) setSubject(n *yaml.Node, sp *record.Spec, file DocumentFile, written schema.Object) {
	const pointer = "/predicate/document"
	switch {
	case sp.Subject == record.SubjectEnrolment, sp.Subject == record.SubjectDesignation, sp.Subject == record.SubjectCheckpoint:
		w.fault(n, pointer, "is not what a record of kind %s is about, which is %s: leave it out", sp.Kind, map[record.SubjectRule]string{
			record.SubjectEnrolment: "the party's enrolment", record.SubjectDesignation: "a record of the designation (about: latest)",
			record.SubjectCheckpoint: "the root of its checkpoint",
		}[sp.Subject])
		return
	case sp.Subject == record.SubjectFirstKey && file.Name == "" && len(written) == 0:
		w.fault(n, pointer, "needs a name beside its sha256: without a word about a document, a record of kind %s is about a key", sp.Kind)
		return
	case sp.PrivateSubject && !w.private:
		w.fault(n, pointer, "is private for kind %s: add private: true, and a commitment to its digest is published", sp.Kind)
		return
	case w.private && !sp.PrivateSubject && !sp.SealableSubject:
		w.fault(n, pointer+"/private", "is true, but a record of kind %s publishes its document's digest: leave it out", sp.Kind)
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
