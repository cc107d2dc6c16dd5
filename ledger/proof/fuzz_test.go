package proof

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// What a parser accepts, its writer writes again to the byte.

func FuzzCheckpoint(f *testing.F) {
	f.Add([]byte(exampleNote))
	f.Add([]byte(strings.Replace(exampleNote, "=\n\n", "=\nextension\n\n", 1)))
	r, _ := ParseReceipt(golden(f, "one.tlog-proof"))
	f.Add(r.Checkpoint)
	f.Fuzz(func(t *testing.T, data []byte) {
		cp, sigs, err := ParseCheckpoint(data)
		if err != nil {
			return
		}
		out := append(cp.Body(), '\n')
		for _, s := range sigs {
			out = append(out, s.Line()...)
		}
		if !bytes.Equal(out, data) {
			t.Errorf("%q is written as %q", data, out)
		}
		sorted, err := FormatNote(cp, sigs...)
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		if again, err := AddSignatures(sorted, sigs[len(sigs)-1]); err != nil || len(again) > len(sorted) {
			t.Errorf("%q: merging what is there gives %q, %v", data, again, err)
		}
	})
}

func FuzzReceipt(f *testing.F) {
	f.Add(golden(f, "one.tlog-proof"))
	f.Add(golden(f, "chain.tlog-proof"))
	p, err := ParsePolicy(golden(f, "policy.txt"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseReceipt(data)
		if err != nil {
			return
		}
		if out, err := r.Format(); err != nil || !bytes.Equal(out, data) {
			t.Errorf("%q is written as %q, %v", data, out, err)
		}
		if v, err := r.Verify(p, testTime.Add(time.Hour)); err == nil && !strings.HasPrefix(string(v.Entry()), "entry ") {
			t.Errorf("%q verifies", data)
		}
	})
}

func FuzzChain(f *testing.F) {
	f.Add(golden(f, "one.tlog-proof"))
	f.Add(golden(f, "chain.tlog-proof"))
	f.Fuzz(func(t *testing.T, data []byte) {
		chain, err := ParseChain(data)
		if err != nil {
			return
		}
		if out, err := FormatChain(chain); err != nil || !bytes.Equal(out, data) {
			t.Errorf("%q is written as %q, %v", data, out, err)
		}
		if _, err := ParseReceipt(data); (err == nil) != (len(chain) == 1) {
			t.Errorf("%q has %d receipts, and as one: %v", data, len(chain), err)
		}
	})
}

func FuzzEvidence(f *testing.F) {
	for _, name := range []string{"same-size", "rewritten", "empty-root"} {
		f.Add(golden(f, name+".split-view"))
	}
	p, err := ParsePolicy(golden(f, "policy.txt"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := ParseEvidence(data)
		if err != nil {
			return
		}
		if out, err := e.Format(); err != nil || !bytes.Equal(out, data) {
			t.Errorf("%q is written as %q, %v", data, out, err)
		}
		split, err := e.Verify(p.LogKeys(e.Origin())...)
		if (split == nil) != (err != nil) {
			t.Errorf("%q: %v and %v", data, split, err)
		}
	})
}

func FuzzPolicy(f *testing.F) {
	f.Add(golden(f, "policy.txt"))
	f.Add([]byte("quorum none\n"))
	f.Add([]byte("witness a " + vkeyOf("w", 4, numberedKey(2, 1)) + "\nwitness b " + vkeyOf("v", 4, numberedKey(2, 2)) + " https://b/\ngroup g 2 a b\nquorum g\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePolicy(data)
		if err != nil {
			return
		}
		again, err := ParsePolicy([]byte(p.Text()))
		if err != nil || again.Text() != p.Text() {
			t.Fatalf("%q: its canonical text %q is read as %v", data, p.Text(), err)
		}
		if k, n := p.QuorumSize(); !p.QuorumIsNone() && (k < 1 || k > n) {
			t.Errorf("%q: quorum %d of %d", data, k, n)
		}
		var names []string
		for _, w := range p.QuorumWitnesses() {
			names = append(names, w.Name)
		}
		if !p.Satisfied(names...) || !p.QuorumIsNone() && p.Satisfied() || p.ForkCost() > len(names) || p.ForkCost() < 0 {
			t.Errorf("%q: all %d do not make a quorum, or nobody does; fork %d", data, len(names), p.ForkCost())
		}
		if (p.ForkCost() == 0) != (p.QuorumIsNone() || p.CheckQuorumsIntersect() != nil) {
			t.Errorf("%q: fork %d, %v", data, p.ForkCost(), p.CheckQuorumsIntersect())
		}
	})
}

func FuzzTilePath(f *testing.F) {
	for _, s := range []string{"tile/0/x001/x234/067", "tile/1/000.p/17", "tile/entries/x001/234.p/255", "tile/0/x000/001", "tile/0/000.p/256"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if id, err := ParseTilePath(path); err == nil && id.Path() != path {
			t.Errorf("%q is read as %+v", path, id)
		}
		if id, err := ParseEntryBundlePath(path); err == nil && id.Path() != path {
			t.Errorf("%q is read as %+v", path, id)
		}
	})
}

func FuzzEntryBundle(f *testing.F) {
	f.Add(golden(f, "entry.bundle"), 3)
	f.Add([]byte{0, 0}, 1)
	f.Fuzz(func(t *testing.T, data []byte, width int) {
		entries, err := ParseEntryBundle(data, width)
		if err != nil {
			return
		}
		if out, err := FormatEntryBundle(entries); err != nil || !bytes.Equal(out, data) || len(entries) != width {
			t.Errorf("%x of %d is written as %x, %v", data, width, out, err)
		}
	})
}

func FuzzKey(f *testing.F) {
	f.Add("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
	f.Add("PRIVATE+KEY+a+00000000+AQ==")
	f.Fuzz(func(t *testing.T, s string) {
		if k, err := parseKey(s); err == nil && k.String() != s {
			t.Errorf("%q is written as %q", s, k)
		}
		if k, _, err := parsePrivateKey(s); err == nil {
			if _, err := parseKey(k.String()); err != nil {
				t.Errorf("%q has the public half %q: %v", s, k, err)
			}
		}
	})
}
