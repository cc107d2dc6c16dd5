package record_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/schema"
)

// entryOf is an entry of n made-up signatures; nothing of it verifies.
func entryOf(payload []byte, n, size int) record.Entry {
	e := record.Entry{
		Admitted: time.Date(2026, 11, 23, 18, 19, 4, 123e6, time.UTC),
		Envelope: record.Envelope{PayloadType: record.PayloadType, Payload: payload},
	}
	for i := range n {
		hash := sha256.Sum256([]byte{byte(i)})
		e.Envelope.Signatures = append(e.Envelope.Signatures, record.Signature{
			KeyID: "SHA256:" + base64.RawStdEncoding.EncodeToString(hash[:]),
			Sig:   bytes.Repeat([]byte{byte(i + 1)}, size),
		})
	}
	slices.SortFunc(e.Envelope.Signatures, func(a, b record.Signature) int { return strings.Compare(a.KeyID, b.KeyID) })
	return e
}

func TestEntryBytes(t *testing.T) {
	const want = `{"admitted":"2026-11-23T18:19:04.123Z","envelope":{"payloadType":"application/vnd.in-toto+json","payload":"eyJhIjoxfQ==","signatures":[` +
		`{"keyid":"SHA256:S/USLzRFVMU73i67jNK349FgCtYxw4Wl18ziPHeFRZo","sig":"AgI="},{"keyid":"SHA256:bjQLnP+zepicpUTmu3gKLHiQHT+zNzh2hRGjBhevoB0","sig":"AQE="}]}}`
	got := entryOf([]byte(`{"a":1}`), 2, 2).Marshal()
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var lax struct {
		Admitted time.Time
		Envelope struct {
			PayloadType string
			Payload     []byte
			Signatures  []struct {
				KeyID string
				Sig   []byte
			}
		}
	}
	if err := json.Unmarshal(got, &lax); err != nil || string(lax.Envelope.Payload) != `{"a":1}` || len(lax.Envelope.Signatures) != 2 {
		t.Errorf("encoding/json reads %+v, %v", lax, err)
	}
	e, err := record.ParseEntry(got)
	if err != nil || !bytes.Equal(e.Marshal(), got) || !e.Admitted.Equal(lax.Admitted) || e.Admitted.Location() != time.UTC {
		t.Errorf("parsed to %v, %v", e, err)
	}
}

// TestEntryIsCanonical changes, drops and doubles every byte: what still
// parses must be what formatting gives.
func TestEntryIsCanonical(t *testing.T) {
	line := entryOf([]byte(`{"a":1}`), 3, 5).Marshal()
	try := func(b []byte) {
		if e, err := record.ParseEntry(b); err == nil && !bytes.Equal(e.Marshal(), b) {
			t.Errorf("%s parsed, and formats as %s", b, e.Marshal())
		}
	}
	for i := range line {
		for c := range 256 {
			b := bytes.Clone(line)
			b[i] = byte(c)
			try(b)
		}
		try(slices.Delete(bytes.Clone(line), i, i+1))
		for _, c := range []byte("A=\n \"\\,}0") {
			try(slices.Insert(bytes.Clone(line), i, c))
		}
		if _, err := record.ParseEntry(line[:i]); err == nil {
			t.Errorf("parsed the first %d bytes", i)
		}
	}
}

func TestEntryRefused(t *testing.T) {
	good := string(entryOf([]byte(`{"a":1}`), 2, 2).Marshal())
	e := entryOf([]byte(`{"a":1}`), 2, 2)
	swap, twice := e, e
	swap.Envelope.Signatures = []record.Signature{e.Envelope.Signatures[1], e.Envelope.Signatures[0]}
	twice.Envelope.Signatures = []record.Signature{e.Envelope.Signatures[0], e.Envelope.Signatures[0]}
	replace := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("no %q in %s", old, good)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, line := range map[string]string{
		"empty":                 "",
		"newline":               good + "\n",
		"space":                 replace(`,"envelope"`, `, "envelope"`),
		"fields swapped":        replace(`"keyid":"SHA256:S/USLzRFVMU73i67jNK349FgCtYxw4Wl18ziPHeFRZo","sig":"AgI="`, `"sig":"AgI=","keyid":"SHA256:S/USLzRFVMU73i67jNK349FgCtYxw4Wl18ziPHeFRZo"`),
		"two fraction digits":   replace(`04.123Z`, `04.12Z`),
		"six fraction digits":   replace(`04.123Z`, `04.123000Z`),
		"comma for the point":   replace(`04.123Z`, `04,123Z`),
		"offset":                replace(`04.123Z`, `04.123+00:00`),
		"30 February":           replace(`2026-11-23`, `2026-02-30`),
		"hour 24":               replace(`T18:19`, `T24:19`),
		"leap second":           replace(`19:04.123`, `19:60.123`),
		"escaped keyid":         replace(`S/US`, `S\/US`),
		"other payloadType":     replace(`vnd.in-toto+json`, `json`),
		"newline in payload":    replace(`eyJhIjoxfQ==`, `eyJhIj\noxfQ==`),
		"real newline":          replace(`eyJhIjoxfQ==`, "eyJhIj\noxfQ=="),
		"unpadded payload":      replace(`eyJhIjoxfQ==`, `eyJhIjoxfQ`),
		"unused bits":           replace(`eyJhIjoxfQ==`, `eyJhIjoxfR==`),
		"empty payload":         replace(`eyJhIjoxfQ==`, ``),
		"empty sig":             replace(`AgI=`, ``),
		"keyid of another form": replace(`SHA256:S/USLzRFVMU73i67jNK349FgCtYxw4Wl18ziPHeFRZo`, `key-1`),
		"keyid, unused bits":    replace(`HeFRZo`, `HeFRZp`),
		"keyid missing":         replace(`"keyid":"SHA256:S/USLzRFVMU73i67jNK349FgCtYxw4Wl18ziPHeFRZo",`, ``),
		"order":                 string(swap.Marshal()),
		"one key twice":         string(twice.Marshal()),
		"no signature":          string(entryOf([]byte(`{"a":1}`), 0, 2).Marshal()),
		"nine signatures":       string(entryOf([]byte(`{"a":1}`), 9, 2).Marshal()),
		"too large":             string(entryOf(make([]byte, record.MaxEntryBytes), 1, 64).Marshal()),
	} {
		t.Run(name, func(t *testing.T) {
			if e, err := record.ParseEntry([]byte(line)); err == nil {
				t.Errorf("accepted %.300s as %v", line, e)
			}
		})
	}
	if _, err := record.ParseEntry(entryOf([]byte(`{"a":1}`), 8, 64).Marshal()); err != nil {
		t.Errorf("eight signatures: %v", err)
	}
}

func TestMaxPayloadIsExact(t *testing.T) {
	sizes := map[record.Algorithm]int{record.AlgEd25519: 64, record.AlgECDSAP256: 72, record.AlgECDSAP384: 104, record.AlgRSA3072: 384, record.AlgRSA4096: 512}
	for alg, size := range sizes {
		for n := 1; n <= record.MaxSignatures; n++ {
			limit := record.MaxPayload(slices.Repeat([]record.Algorithm{alg}, n)...)
			line := entryOf(make([]byte, limit), n, size).Marshal()
			if _, err := record.ParseEntry(line); err != nil {
				t.Errorf("%d × %s, payload %d: %v", n, alg, limit, err)
			}
			if over := len(entryOf(make([]byte, limit+1), n, size).Marshal()); over <= record.MaxEntryBytes {
				t.Errorf("%d × %s: %d is not the limit, one more gives %d bytes", n, alg, limit, over)
			}
		}
	}
	// A receipt carries the entry as base64 on its extra line (C2SP tlog-proof),
	// and published parsers stop at lines of 64 KiB.
	if n := len("extra ") + base64.StdEncoding.EncodedLen(record.MaxEntryBytes); n >= 64<<10 {
		t.Errorf("the extra line would have %d bytes", n)
	}
}

func FuzzEntry(f *testing.F) {
	for n := range 10 {
		f.Add(entryOf([]byte(fmt.Sprintf(`{"a":%d}`, n)), n, 64+n).Marshal())
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := record.ParseEntry(line)
		if err != nil {
			return
		}
		if got := e.Marshal(); !bytes.Equal(got, line) {
			t.Fatalf("%q formats as %q", line, got)
		}
		if _, err := schema.ParseJSON(line); err != nil {
			t.Fatalf("%q is not strict JSON: %v", line, err)
		}
	})
}

func BenchmarkEntryMarshal(b *testing.B) {
	e := entryOf(make([]byte, 800), 1, 64)
	for b.Loop() {
		e.Marshal()
	}
}

func BenchmarkParseEntry(b *testing.B) {
	line := entryOf(make([]byte, 700), 1, 64).Marshal()
	b.ReportMetric(float64(len(line)), "bytes")
	for b.Loop() {
		if _, err := record.ParseEntry(line); err != nil {
			b.Fatal(err)
		}
	}
}
