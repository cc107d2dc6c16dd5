package verifier

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudflare/circl/sign/mldsa/mldsa44"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/ledger/register/registertest"
)

const origin = "docket.example/test"

// testKey signs checkpoints as it is told: with any time, and under any name. Its seed is made of
// its name, so that a run can be repeated.
type testKey struct {
	name string
	alg  proof.Algorithm
	ed   ed25519.PrivateKey
	pq   *mldsa44.PrivateKey
	raw  []byte // the public key
}

func newTestKey(alg proof.Algorithm, name string) *testKey {
	seed := sha256.Sum256(fmt.Appendf(nil, "verifier test: %s %d", name, alg))
	k := &testKey{name: name, alg: alg}
	if alg == proof.MLDSA44 {
		public, private := mldsa44.NewKeyFromSeed(&seed)
		k.pq, k.raw = private, public.Bytes()
		return k
	}
	k.ed = ed25519.NewKeyFromSeed(seed[:])
	k.raw = k.ed.Public().(ed25519.PublicKey)
	return k
}

// vkeyOf writes a verifier key of any bytes, as signed-note has it.
func vkeyOf(name string, alg proof.Algorithm, raw []byte) string {
	typed := append([]byte{byte(alg)}, raw...)
	return fmt.Sprintf("%s+%x+%s", name, keyIDOf(name, typed), base64.StdEncoding.EncodeToString(typed))
}

func keyIDOf(name string, typed []byte) []byte {
	sum := sha256.Sum256(append([]byte(name+"\n"), typed...))
	return sum[:4]
}

func (k *testKey) vkey() string { return vkeyOf(k.name, k.alg, k.raw) }

// line is a signature line over a checkpoint, with that time.
func (k *testKey) line(cp proof.Checkpoint, stamp uint64) string {
	var sig []byte
	time := binary.BigEndian.AppendUint64(nil, stamp)
	switch k.alg {
	case proof.Ed25519:
		sig = ed25519.Sign(k.ed, cp.Body())
	case proof.CosignatureEd25519:
		sig = append(time, ed25519.Sign(k.ed, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", stamp, cp.Body()))...)
	default:
		m := append([]byte("subtree/v1\n\x00"), byte(len(k.name)))
		m = append(append(m, k.name...), time...)
		m = append(append(m, byte(len(cp.Origin))), cp.Origin...)
		m = binary.BigEndian.AppendUint64(m, 0)
		m = append(binary.BigEndian.AppendUint64(m, cp.Size), cp.Root[:]...)
		signed := make([]byte, mldsa44.SignatureSize)
		if err := mldsa44.SignTo(k.pq, m, nil, false, signed); err != nil {
			panic(err)
		}
		sig = append(time, signed...)
	}
	return k.lineOf(sig)
}

func (k *testKey) lineOf(sig []byte) string {
	id := keyIDOf(k.name, append([]byte{byte(k.alg)}, k.raw...))
	return "— " + k.name + " " + base64.StdEncoding.EncodeToString(append(id, sig...)) + "\n"
}

// A testLog holds entries that nobody judged, and says what it likes about them.
type testLog struct {
	*registertest.World
	t       testing.TB
	entries []record.Entry
	at      time.Time // of the next entry
}

func newTestLog(t testing.TB, policy string, at time.Time) *testLog {
	return &testLog{World: registertest.New(at, origin, policy), t: t, at: at}
}

// admit appends the entry of a record, as these keys and those that it lists signed it.
func (l *testLog) admit(env record.Envelope, keys ...string) uint64 {
	l.t.Helper()
	v, err := record.Open(env, func(*record.Statement) (all []*record.Key) {
		for _, name := range keys {
			all = append(all, l.Signer(name).Key())
		}
		return all
	})
	must(l.t, err)
	e, err := v.Entry(l.at, func(*record.Key) bool { return true })
	must(l.t, err)
	l.entries = append(l.entries, e)
	l.NoteAdmitted(env)
	return uint64(len(l.entries) - 1)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (l *testLog) leaves() (all [][]byte) {
	for _, e := range l.entries {
		all = append(all, e.Marshal())
	}
	return all
}

// root and path are RFC 6962, section 2.1, word by word.
func root(leaves [][]byte) proof.Hash {
	switch len(leaves) {
	case 0:
		return proof.EmptyRoot()
	case 1:
		return proof.LeafHash(leaves[0])
	}
	k := 1 << (bits.Len(uint(len(leaves)-1)) - 1)
	return proof.NodeHash(root(leaves[:k]), root(leaves[k:]))
}

func path(m int, leaves [][]byte) []proof.Hash {
	if len(leaves) < 2 {
		return nil
	}
	k := 1 << (bits.Len(uint(len(leaves)-1)) - 1)
	if m < k {
		return append(path(m, leaves[:k]), root(leaves[k:]))
	}
	return append(path(m-k, leaves[k:]), root(leaves[:k]))
}

// receiptOf writes a receipt with whatever signature lines.
func receiptOf(leaves [][]byte, index int, lines func(proof.Checkpoint) string) []byte {
	cp := proof.Checkpoint{Origin: origin, Size: uint64(len(leaves)), Root: root(leaves)}
	var b strings.Builder
	fmt.Fprintf(&b, "c2sp.org/tlog-proof@v1\nextra %s\nindex %d\n", base64.StdEncoding.EncodeToString(leaves[index]), index)
	for _, h := range path(index, leaves) {
		b.WriteString(h.String() + "\n")
	}
	b.WriteString("\n" + string(cp.Body()) + "\n" + lines(cp))
	return []byte(b.String())
}

// cast is a log with both its keys and three witnesses, of which the first two have both kinds too.
type cast struct {
	log, logPQ *testKey
	w          [3]*testKey
	wPQ        [2]*testKey
	now        uint64
}

func newCast(now time.Time) cast {
	c := cast{log: newTestKey(proof.Ed25519, origin), logPQ: newTestKey(proof.MLDSA44, origin), now: uint64(now.Unix())}
	for i := range c.w {
		name := fmt.Sprintf("w%d.example/w", i+1)
		c.w[i] = newTestKey(proof.CosignatureEd25519, name)
		if i < len(c.wPQ) {
			c.wPQ[i] = newTestKey(proof.MLDSA44, name)
		}
	}
	return c
}

// policy takes 2 of 3 witnesses, by their Ed25519 keys alone.
func (c cast) policy() string {
	return "log " + c.log.vkey() + " https://docket.example\n" +
		"witness w1 " + c.w[0].vkey() + "\nwitness w2 " + c.w[1].vkey() + "\nwitness w3 " + c.w[2].vkey() + "\n" +
		"group two-of-three 2 w1 w2 w3\nquorum two-of-three\n"
}

// policyPQ takes both kinds of keys.
func (c cast) policyPQ() string {
	return "log " + c.log.vkey() + "\nlog " + c.logPQ.vkey() + "\n" +
		"witness w1 " + c.w[0].vkey() + "\nwitness w1-pq " + c.wPQ[0].vkey() + "\nwitness w2 " + c.w[1].vkey() + "\nwitness w2-pq " + c.wPQ[1].vkey() + "\n" +
		"group o1 any w1 w1-pq\ngroup o2 any w2 w2-pq\ngroup both 2 o1 o2\nquorum both\n"
}

func (c cast) lines(cp proof.Checkpoint) string {
	return c.log.line(cp, 0) + c.w[0].line(cp, c.now-60) + c.w[2].line(cp, c.now-50)
}

func (c cast) linesPQ(cp proof.Checkpoint) string {
	return c.log.line(cp, 0) + c.logPQ.line(cp, 0) + c.w[0].line(cp, c.now-60) + c.wPQ[0].line(cp, c.now-55) + c.w[1].line(cp, c.now-50) + c.wPQ[1].line(cp, c.now-40)
}

// standardLog has a charter, its authority, a provider, a designation and an answer.
func standardLog(t testing.TB, policy string, at time.Time) *testLog {
	l := newTestLog(t, policy, at)
	l.admit(l.Charter(), "root/root-1", "root/root-2", "root/root-3")
	l.admit(l.Authority(), "root/root-1", "root/root-2")
	l.admit(l.Provider("acme-cloud"), "authority/officer-1")
	l.admit(l.Designate("2026-014", l.NewDesignation("Kestrel Hosting")), "authority/officer-1", "authority/officer-2")
	l.admit(l.Respond("2026-014", "acme-cloud", &record.Response{Status: "acknowledged"}), "acme-cloud/ci")
	return l
}

// hexBytes reads hexadecimal in little-endian order of bytes, as Ed25519 writes numbers.
func littleEndian(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(s)
	must(t, err)
	slices.Reverse(b)
	return b
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(name)
	must(t, err)
	return raw
}
