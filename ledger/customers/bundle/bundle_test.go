package bundle_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seed-53cf897a/docket/ledger/customers/bundle"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/record/refusaltest"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// vectors are a bundle of two customers and the public records that it rests on.
func vectors(t testing.TB) (raw []byte, public bundle.Public) {
	t.Helper()
	for i, line := range bytes.Split(bytes.TrimSpace(read(t, "public.jsonl")), []byte("\n")) {
		st, err := record.ParseStatement(line)
		if err != nil {
			t.Fatal(err)
		}
		r := bundle.Record{ID: record.IDOf(line), Index: uint64(10 + i), Admitted: time.Date(2027, 3, 1+i, 0, 0, 0, 0, time.UTC), Statement: st}
		if st.Kind == record.KindDisclosureRequest {
			public.Request = r
		} else {
			public.Logs = append(public.Logs, r)
		}
	}
	return read(t, "two.disclosure"), public
}

func verify(raw []byte, public bundle.Public) (*bundle.Table, error) {
	b, err := bundle.Parse(raw)
	if err != nil {
		return nil, err
	}
	return b.Verify(public)
}

// The file is written as it was, and says what it said.
func TestVectors(t *testing.T) {
	raw, public := vectors(t)
	b, err := bundle.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := b.Format(); err != nil || !bytes.Equal(again, raw) {
		t.Errorf("written again it is another: %v", err)
	}
	table, err := b.Verify(public)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, part := range []struct {
		title string
		lines []string
	}{{"What leaves the house", table.Leaves()}, {"Proven", table.Proven()}, {"Not proven", table.NotProven()}} {
		fmt.Fprintf(&out, "%s:\n  %s\n", part.title, strings.Join(part.lines, "\n  "))
	}
	for _, c := range table.Customers {
		fmt.Fprintf(&out, "%s: %d filed, %d others\n", c.Handle, c.Filed, c.Others)
		for _, r := range c.Events {
			fmt.Fprintf(&out, "  leaf %d %v %v before %t late %t fixed %t\n", r.Leaf, r.Fields[1:3], r.Values, r.Before, r.Late, r.FixedBy != nil)
		}
	}
	if refusaltest.Update() {
		if err := os.WriteFile(filepath.Join("testdata", "two.txt"), []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := string(read(t, "two.txt")); out.String() != want {
		t.Errorf("it says\n%s\nwant\n%s", out.String(), want)
	}
}

// small is the bundle without its first customer.
func small(t *testing.T) (raw []byte, public bundle.Public) {
	t.Helper()
	raw, public = vectors(t)
	b, err := bundle.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	b.Customers = b.Customers[1:]
	if raw, err = b.Format(); err != nil {
		t.Fatal(err)
	}
	return raw, public
}

// It verifies as it is, and with no byte changed.
func TestEveryByte(t *testing.T) {
	raw, public := small(t)
	if _, err := verify(raw, public); err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		changed := bytes.Clone(raw)
		changed[i] ^= 1
		if _, err := verify(changed, public); !errors.Is(err, bundle.ErrNotBundle) {
			t.Fatalf("byte %d of %d is %q instead of %q: %v", i, len(raw), changed[i], raw[i], err)
		}
	}
	for _, n := range []int{0, 1, 100, len(raw) / 2, len(raw) - 1} {
		if _, err := verify(raw[:n], public); !errors.Is(err, bundle.ErrNotBundle) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
}

// Whoever changes a byte and puts the digest right changes nothing of what is proven: it is
// refused, or the events that a public record fixes are those that they were.
func TestEveryByteWithItsDigest(t *testing.T) {
	raw, public := small(t)
	want, err := verify(raw, public)
	if err != nil {
		t.Fatal(err)
	}
	refused, same := 0, 0
	tail := len(raw) - len("digest \n") - 2*sha256.Size
	for i := range tail {
		changed := bytes.Clone(raw)
		switch c := raw[i]; {
		case '0' <= c && c < '9', 'a' <= c && c < 'z', 'A' <= c && c < 'Z':
			changed[i]++
		default:
			changed[i] ^= 1
		}
		sum := sha256.Sum256(changed[:tail])
		hex.Encode(changed[tail+len("digest "):], sum[:])
		got, err := verify(changed, public)
		if err != nil {
			refused++
			continue
		}
		same++
		if proven := fixed(got); !reflect.DeepEqual(proven, fixed(want)) {
			t.Fatalf("byte %d, %q instead of %q in %q: it proves\n%v, and it proved\n%v", i, changed[i], raw[i], around(raw, i), proven, fixed(want))
		}
	}
	if refused < tail/2 || same == 0 {
		t.Errorf("%d refused, %d the same of %d: nothing was tried", refused, same, tail)
	}
}

func around(raw []byte, i int) []byte { return raw[max(0, i-40):min(len(raw), i+40)] }

// fixed is all that a table proves of events, as text.
func fixed(t *bundle.Table) (all []string) {
	for _, c := range t.Customers {
		all = append(all, fmt.Sprint(c.Handle, c.Filed, c.Erased != nil))
		for _, r := range c.Events {
			if r.FixedBy != nil {
				all = append(all, fmt.Sprint(r.Leaf, r.Fields, r.Values, r.Before, r.Late))
			}
		}
	}
	return all
}

// What is no bundle is told from one, with what to do.
func TestParseRefuses(t *testing.T) {
	raw, _ := vectors(t)
	seal := func(s string) []byte {
		sum := sha256.Sum256([]byte(s))
		return fmt.Appendf(nil, "%sdigest %x\n", s, sum)
	}
	head, _, _ := strings.Cut(strings.TrimPrefix(string(raw), "docket-disclosure/v1\n"), "\n")
	head = "docket-disclosure/v1\n" + head + "\n"
	if _, err := bundle.Parse(seal(head)); err != nil {
		t.Errorf("a bundle of nobody: %v", err)
	}
	for text, want := range map[string]string{
		"":                                     "its first line is not",
		"age-encryption.org/v1\n-> x\n":        "encrypted still",
		head:                                   "its last line is not the digest",
		string(seal("docket-disclosure/v1\n")): "ends early",
		string(seal("docket-disclosure/v1\n{}\n")):                                 "line 2",
		string(seal(head + head)):                                                  "line 3",
		string(seal(head + "{\"leaf\":1,\"openings\":[]}\n")):                      "neither a customer nor one of his events",
		string(seal(head + "{\"handle\":\"00\"}\n")):                               "not a customer's handle",
		string(seal(head + "chain 5\nabc")):                                        "does not begin a chain",
		string(seal(head + "chain 03\nabc")):                                       "does not begin a chain",
		string(seal(head + "chain 3\nabc{}\n")):                                    "after the chains",
		string(seal(head + "{\"handle\": \"" + strings.Repeat("0", 32) + "\"}\n")): "written in another way",
	} {
		if _, err := bundle.Parse([]byte(text)); !errors.Is(err, bundle.ErrNotBundle) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80q: %v, want %q", text, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	raw, public := vectors(f)
	f.Add(raw)
	f.Add([]byte("docket-disclosure/v1\n{}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		// The digest is put right, so that what lies below is reached.
		if n := len(text) - len("digest \n") - 2*sha256.Size; n > 0 {
			sum := sha256.Sum256(text[:n])
			text = fmt.Appendf(bytes.Clone(text[:n]), "digest %x\n", sum)
		}
		b, err := bundle.Parse(text)
		if err != nil {
			return
		}
		if again, err := b.Format(); err != nil || !bytes.Equal(again, text) {
			t.Fatalf("read and written it is another: %v", err)
		}
		if table, err := b.Verify(public); err == nil {
			table.Proven()
			table.NotProven()
			table.Leaves()
		}
	})
}
