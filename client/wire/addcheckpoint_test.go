package wire

import (
	"bytes"
	"strings"
	"testing"

	"github.com/seed-53cf897a/docket/ledger/proof"
)

// The example of tlog-witness "add-checkpoint".
const exampleRequest = `old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
`

func TestParseAddCheckpoint(t *testing.T) {
	a, err := ParseAddCheckpoint([]byte(exampleRequest))
	if err != nil {
		t.Fatal(err)
	}
	cp, sigs, err := proof.ParseCheckpoint(a.Note)
	if err != nil || a.Old != 20852014 || len(a.Path) != 4 || cp.Size != 20852163 || len(sigs) != 2 {
		t.Errorf("read as %d, %d, %v, %d: %v", a.Old, len(a.Path), cp, len(sigs), err)
	}
	for _, n := range []int{0, proof.MaxProofHashes} {
		b := AddCheckpoint{Old: 1<<64 - 1, Path: make([]proof.Hash, n), Note: a.Note}
		if got, err := ParseAddCheckpoint(b.Format()); err != nil || len(got.Path) != n || got.Old != b.Old {
			t.Errorf("%d hashes: %v", n, err)
		}
	}
}

func TestParseAddCheckpointRefuses(t *testing.T) {
	for why, text := range map[string]string{
		"nothing":            "",
		"no newline":         "old 5",
		"no empty line":      "old 5\n",
		"no checkpoint":      "old 5\n\n",
		"a cut checkpoint":   strings.TrimSuffix(exampleRequest, "\n"),
		"a space":            strings.Replace(exampleRequest, "old 2", "old  2", 1),
		"a sign":             strings.Replace(exampleRequest, "old 2", "old +2", 1),
		"leading zeros":      strings.Replace(exampleRequest, "old 2", "old 02", 1),
		"2^64":               strings.Replace(exampleRequest, "old 20852014", "old 18446744073709551616", 1),
		"a short hash":       strings.Replace(exampleRequest, "PlRN", "", 1),
		"a hash and more":    strings.Replace(exampleRequest, "kaw=\n", "kaw= \n", 1),
		"other line ends":    strings.ReplaceAll(exampleRequest, "\n", "\r\n"),
		"64 hashes":          string(AddCheckpoint{Path: make([]proof.Hash, 64), Note: []byte("x\n")}.Format()),
		"bits of no hash":    strings.Replace(exampleRequest, "kaw=", "kax=", 1),
		"another first line": "new 5\n" + exampleRequest,
	} {
		if _, err := ParseAddCheckpoint([]byte(text)); err == nil {
			t.Errorf("%s: accepted", why)
		}
	}
}

func FuzzParseAddCheckpoint(f *testing.F) {
	f.Add([]byte(exampleRequest))
	f.Add([]byte("old 0\n\nx\n"))
	f.Add([]byte("old 0\n\n\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := ParseAddCheckpoint(body)
		if err != nil {
			return
		}
		if got := a.Format(); !bytes.Equal(got, body) {
			t.Fatalf("%q became %q", body, got)
		}
	})
}
