package draft

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// fictionalResolver reads nothing: every file has its name as content, every key is made
// from its name.
const fictionalPolicy = "log docket.example/2026+5f1c0a92+Ad\nquorum none\n"

var fictionalResolver = ShortFormResolver{
	Policy: func(string) (string, error) { return fictionalPolicy, nil },
	Document: func(file string) (DocumentFile, error) {
		if strings.Contains(file, "absent") {
			return DocumentFile{}, errors.New("no such file")
		}
		return DocumentFile{Name: file, MediaType: "text/plain; charset=utf-8", Bytes: int64(len(file)), SHA256: sha256.Sum256([]byte(file))}, nil
	},
	Key: fictionalKey,
	KMS: fictionalKey,
}

func fictionalKey(name string) (record.PEM, error) {
	seed := sha256.Sum256([]byte(name))
	key, err := record.NewKey(ed25519.NewKeyFromSeed(seed[:]).Public())
	if err != nil {
		return "", err
	}
	return key.PEM(), nil
}

var exampleFillValues = FillValues{Ledger: record.IDOf([]byte("ledger")), Follows: record.IDOf([]byte("follows")), SubjectRecord: record.IDOf([]byte("about")), IssuedAt: time.Date(2026, 12, 2, 9, 30, 0, 123456789, time.UTC)}

// shortForms are the test's own and the examples; the charter among these has
// shortened keys, which only a policy notices.
func shortForms(t testing.TB) map[string][]byte {
	forms := map[string][]byte{}
	for _, pattern := range []string{"testdata/short/*.yaml", "examples/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			forms[file] = raw
		}
	}
	return forms
}

func TestShortFormExamples(t *testing.T) {
	seen := map[record.Kind]bool{}
	for file, raw := range shortForms(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			sh, err := ParseShortForm(raw, fictionalResolver)
			if err != nil {
				t.Fatal(err)
			}
			f := exampleFillValues
			if strings.Contains(file, "charter") || strings.Contains(file, "enrolment") || strings.Contains(string(raw), "initial: true") || strings.Contains(string(raw), "status: requested") {
				f.Follows = record.ID{}
			}
			if strings.Contains(file, "charter") {
				f.Ledger = record.ID{}
			}
			payload, salts, err := sh.Fill(f)
			if err != nil {
				t.Fatal(err)
			}
			s, err := record.ParseStatement(payload)
			if err != nil {
				t.Fatalf("%v\n%s", err, payload)
			}
			seen[s.Kind] = true
			again, err := record.EncodeStatement(s)
			if err != nil || string(again) != string(payload) {
				t.Errorf("encoded again: %v\n%s\n%s", err, again, payload)
			}
			for _, salt := range salts {
				if err := commitmentAt(s, salt.Pointer).Verify(s.Ledger, s.Thread, salt); err != nil {
					t.Error(err)
				}
			}
			if n := strings.Count(string(raw), "secret:") + strings.Count(string(raw), "private: true") + strings.Count(string(raw), "{file: screening"); n != len(salts) {
				t.Errorf("%d salts, want %d", len(salts), n)
			}
			if s.Subject.SHA256 == [32]byte{} || strings.Contains(string(payload), zeroDigest) {
				t.Errorf("not filled: %s", payload)
			}
			// A whole statement is taken as it is.
			whole, err := ParseShortForm(payload, ShortFormResolver{})
			if err != nil {
				t.Fatal(err)
			}
			if same, _, err := whole.Fill(FillValues{}); err != nil || string(same) != string(payload) {
				t.Errorf("a whole statement changed: %v\n%s", err, same)
			}
		})
	}
	for _, k := range record.Kinds() {
		if !seen[k] {
			t.Errorf("no short form of kind %s was read", k)
		}
	}
}

// commitmentAt is the commitment in a statement at a pointer from its predicate.
func commitmentAt(s *record.Statement, pointer string) record.Commitment {
	if pointer == "/subject" {
		return record.Commitment{Commit: record.ID(s.Subject.SHA256).String()}
	}
	var v any = s.Object()
	for _, name := range strings.Split(pointer, "/")[1:] {
		v = v.(schema.Object).Lookup(name)
	}
	return record.Commitment{Commit: v.(schema.Object)[0].Value.(string)}
}

func TestShortScalarsStayAsWritten(t *testing.T) {
	raw, err := os.ReadFile("testdata/short/designation.yaml")
	if err != nil {
		t.Fatal(err)
	}
	sh, err := ParseShortForm(raw, fictionalResolver)
	if err != nil {
		t.Fatal(err)
	}
	d := sh.Statement.Predicate.(*record.Designation)
	if got, want := d.Program, []string{"2026-11-23", "no", "0x1F"}; !reflect.DeepEqual(got, want) || d.Target.RegistrationNumber != "0123456" {
		t.Errorf("got %q and %q", got, d.Target.RegistrationNumber)
	}
}

func TestShortAbout(t *testing.T) {
	const response = "kind: response\nthread: response/2026-030/brook-cloud\nissuer: brook-cloud\nstatus: acknowledged\n"
	for _, c := range []struct {
		text string
		want SubjectLookup
	}{
		{response, SubjectLookup{SubjectNewestRecord, "designation/2026-030"}},
		{response + "about: latest\n", SubjectLookup{SubjectNewestRecord, "designation/2026-030"}},
		{response + "about: " + exampleDigest, SubjectLookup{}},
		{"kind: standing\nthread: party/p\nissuer: authority\nstatus: active\neffectiveOn: 2027-01-01\nreason: r", SubjectLookup{SubjectEnrolmentRecord, "party/p"}},
		{"kind: keys\nthread: party/p\nissuer: p\nrevoke: [{keyid: SHA256:uNiVztksCsDhcc0u9e8BrJBnSvWkkwwAAAAAAAAAAAA}]", SubjectLookup{SubjectEnrolmentRecord, "party/p"}},
		{"kind: keys\nthread: party/p\nissuer: p\nadd: [{key: {file: k}, use: officer, holder: h}]", SubjectLookup{}},
		{"kind: enrolment\nthread: party/p\nissuer: p\nlegalName: P\ncountry: XA\nroles: [provider]", SubjectLookup{SubjectEnrolmentRecord, "party/p"}},
	} {
		sh, err := ParseShortForm([]byte(c.text), fictionalResolver)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
		} else if sh.SubjectLookup != c.want {
			t.Errorf("%s: got %+v, want %+v", c.text, sh.SubjectLookup, c.want)
		}
	}
}

// `request: latest` of a receipt is filled in; of nothing else it is a word.
func TestShortRequestLatest(t *testing.T) {
	const receipt = "kind: disclosure-receipt\nthread: disclosure/7/p\nissuer: p\ndocument: {file: d}\nentries: 3\nlogSize: 4\nrequest: latest\n"
	sh, err := ParseShortForm([]byte(receipt), fictionalResolver)
	if err != nil {
		t.Fatal(err)
	}
	if sh.RequestThread != "disclosure/7" {
		t.Errorf("it is asked for the newest on %q", sh.RequestThread)
	}
	if _, _, err := sh.Fill(exampleFillValues); err == nil {
		t.Error("filled in with nothing")
	}
	f := exampleFillValues
	f.Request = record.IDOf([]byte("request"))
	payload, _, err := sh.Fill(f)
	if err != nil {
		t.Fatal(err)
	}
	st, err := record.ParseStatement(payload)
	if err != nil || st.Predicate.(*record.DisclosureReceipt).Request != f.Request {
		t.Errorf("%s: %v", payload, err)
	}
	_, err = ParseShortForm([]byte(strings.Replace(receipt, "latest", "newest", 1)), fictionalResolver)
	checkRefusal(t, err, "short form 7:/predicate/request")
}

func TestShortFaults(t *testing.T) {
	const head = "kind: revocation\nthread: designation/d\nissuer: authority\ndocument: {file: d}\n"
	const rest = "effectiveOn: 2027-01-01\ncause: lifted\nreason: r\n"
	for _, c := range []struct{ name, text, want string }{
		{"an unknown field", head + rest + "resaon: r\n", "short form 8:/predicate/resaon"},
		{"a day that is none", head + "effectiveOn: 2027-02-30\ncause: lifted\nreason: r\n", "short form 5:/predicate/effectiveOn"},
		{"a word of no enum", head + "effectiveOn: 2027-01-01\ncause: lited\nreason: r\n", "short form 6:/predicate/cause"},
		{"a required field without value", head + "effectiveOn: 2027-01-01\ncause: lifted\nreason:\n", "short form 7:/predicate/reason"},
		{"a field without value", head + rest + "note:\n", "short form 8:/predicate/note"},
		{"a required field empty", head + "effectiveOn: 2027-01-01\ncause: lifted\nreason: \"\"\n", "short form 7:/predicate/reason"},
		{"an empty note", head + rest + "note: \"\"\n", "short form 8:/predicate/note"},
		{"a name twice", head + rest + "reason: twice\n", "short form 8:/predicate/reason"},
		{"an anchor", head + "effectiveOn: &a 2027-01-01\ncause: lifted\nreason: r\n", "short form 5:/predicate/effectiveOn"},
		{"a tag", head + "effectiveOn: !!str 2027-01-01\ncause: lifted\nreason: r\n", "short form 5:/predicate/effectiveOn"},
		{"a field missing", head + "effectiveOn: 2027-01-01\ncause: lifted\n", "short form 0:/predicate/reason"},
		{"a control of direction", head + "effectiveOn: 2027-01-01\ncause: lifted\nreason: \"a\\u202eb\"\n", "short form 7:/predicate/reason"},
		{"no document", "kind: revocation\nthread: designation/d\nissuer: authority\n" + rest, "short form 0:/predicate/document"},
		{"another kind's thread", "kind: revocation\nthread: response/d\nissuer: authority\ndocument: {file: d}\n" + rest, "short form 2:/predicate/thread"},
		{"another's issuer", "kind: revocation\nthread: designation/d\nissuer: someone\ndocument: {file: d}\n" + rest, "short form 3:/predicate/issuer"},
		{"a file that is absent", "kind: revocation\nthread: designation/d\nissuer: authority\ndocument: {file: absent}\n" + rest, "short form 4:/predicate/document/file"},
		{"a document's field unknown", "kind: revocation\nthread: designation/d\nissuer: authority\ndocument: {fil: d}\n" + rest, "short form 4:/predicate/document/fil"},
		{"about beside document", "kind: revocation\nthread: designation/d\nissuer: authority\ndocument: {file: d}\nabout: latest\n" + rest, "short form 5:/predicate/about"},
		{"no kind", "thread: designation/d\n", "short form 0:/predicate/kind"},
		{"a kind misspelt", "kind: revocatoin\n", "unsupported"},
		{"a kind of a newer binary", "kind: index\n", "unsupported"},
		{"two documents of YAML", "kind: revocation\n---\nkind: revocation\n", "malformed"},
		{"broken YAML", "kind: [\n", "malformed"},
		{"a list", "- a\n", "malformed"},
		{"an empty file", "", "malformed"},
		{"a comment alone", "# nothing\n", "malformed"},
		{"a private document in the open", "kind: cip-certification\nthread: cip/p\nissuer: p\ndocument: {file: f}\n", "short form 0:/predicate/periodFrom 0:/predicate/periodUntil 0:/predicate/reviewed 0:/predicate/updatedForServices 0:/predicate/updatedForThreats 0:/predicate/compliant 0:/predicate/unverifiableResolved 4:/predicate/document"},
		{"private yes", "kind: cip-certification\nthread: cip/p\nissuer: p\ndocument: {file: f, private: yes}\n", "short form 0:/predicate/periodFrom 0:/predicate/periodUntil 0:/predicate/reviewed 0:/predicate/updatedForServices 0:/predicate/updatedForThreats 0:/predicate/compliant 0:/predicate/unverifiableResolved 4:/predicate/document/private"},
		{"a public document in private", "kind: revocation\nthread: designation/d\nissuer: authority\ndocument: {file: d, private: true}\n" + rest, "short form 4:/predicate/document/private"},
		{"another digest than the file's", "kind: revocation\nthread: designation/d\nissuer: authority\ndocument: {file: d, sha256: " + exampleDigest + "}\n" + rest, "short form 4:/predicate/document/sha256"},
		{"a document of a response", "kind: response\nthread: response/d/p\nissuer: p\nstatus: acknowledged\ndocument: {file: d}\n", "short form 5:/predicate/document"},
		{"a document of a standing", "kind: standing\nthread: party/p\nissuer: authority\nstatus: active\neffectiveOn: 2027-03-01\nreason: r\ndocument: {file: d}\n", "short form 7:/predicate/document"},
		{"a digest without a name", "kind: keys\nthread: party/p\nissuer: p\ndocument: {sha256: " + strings.Repeat("1", 64) + "}\nrevoke: [{keyid: \"SHA256:uNiVztksCsDhcc0u9e8BrJBnSvWkkwwAAAAAAAAAAAA\"}]\n", "short form 4:/predicate/document"},
		{"a URL without a file", "kind: revocation\nthread: designation/d\nissuer: authority\ndocument: {url: [\"https://a.example\"]}\n" + rest, "short form 4:/predicate/document"},
		{"an empty secret", "kind: response\nthread: response/d/p\nissuer: p\nstatus: acknowledged\naccountsClosed: {secret: }\n", "short form 5:/predicate/accountsClosed"},
		{"about nothing known", `{"kind":"revocation","thread":"designation/d","issuer":"authority","about":"x"}`, "short form 0:/predicate/about 0:/predicate/effectiveOn 0:/predicate/cause 0:/predicate/reason"},
		{"about misspelt", "kind: revocation\nthread: designation/d\nissuer: authority\nabout: lastest\n", "short form 0:/predicate/effectiveOn 0:/predicate/cause 0:/predicate/reason 4:/predicate/about"},
		{"a number in clear", "kind: response\nthread: response/d/p\nissuer: p\nstatus: acknowledged\naccountsClosed: 3\n", "short form 5:/predicate/accountsClosed"},
		{"a number in clear, JSON", `{"kind":"response","thread":"response/d/p","issuer":"p","status":"acknowledged","accountsClosed":"3"}`, "short form 0:/predicate/accountsClosed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseShortForm([]byte(c.text), fictionalResolver)
			checkRefusal(t, err, c.want)
		})
	}
}

// What cannot be read as YAML is told with its line, and what people mistype by its name.
func TestYAMLFaults(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"kind: [\n", "line 1: "},
		{"kind: a: b\n", "line 1: "},
		{"kind: response\nnote: a: b\n", "line 2: "},
		{"kind: designation\ntarget:\n\tname: x\n", "line 3: a tab stands at its beginning: YAML is indented by spaces alone"},
		{"kind: designation\ntarget:\n  name: x\n \tcountry: XB\n", "line 4: a tab stands"},
		{"kind: response\nstatus:no-relationship\nissuer: p\n", "line 2: write a space after the colon: status: no-relationship"},
		{"kind:response\nissuer: p\n", "line 1: write a space after the colon: kind: response"},
		{"kind: response\nissuer: p\nstatus:no-relationship\n", "line 3: write a space after the colon: status: no-relationship"},
		{"kind: designation\ntarget: {name:x, country: XB}\n", "line 2: target.name needs a space after its colon: name: x"},
		{"thread: response/d/p\n", "kind is missing; on this thread stands kind: response; docket new response prints"},
		{"kind: respond\nthread: party/p\n", "on this thread stands kind: enrolment, or standing, or keys"},
		{"kind: something\nthread: nowhere/p\n", "unknown"},
	} {
		_, err := ParseShortForm([]byte(c.text), fictionalResolver)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.text, err, c.want)
		}
	}
}

func FuzzParseShort(f *testing.F) {
	for _, raw := range shortForms(f) {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		sh, err := ParseShortForm(raw, fictionalResolver)
		if err != nil {
			return
		}
		payload, _, err := sh.Fill(exampleFillValues)
		if err != nil {
			return // a rule that the ledger and follows decide
		}
		if _, err := record.ParseStatement(payload); err != nil {
			t.Errorf("Fill made a payload that does not parse: %v\n%s", err, payload)
		}
	})
}
