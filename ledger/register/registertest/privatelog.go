package registertest

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
)

// PrivateLog is a provider's private customer log as far as its leaves go: a real tree,
// real checkpoints and real proofs. Its key and its leaves come from its origin, so that
// the same test makes the same records.
type PrivateLog struct {
	Origin string
	signer *proof.Signer
	tree   *proof.Appender
	rows   map[uint8][]byte // the rows of the tiles, by level
}

// NewPrivateLog is an empty log.
func NewPrivateLog(origin string) *PrivateLog {
	l := &PrivateLog{Origin: origin, tree: proof.NewAppender(), rows: make(map[uint8][]byte)}
	l.Rotate("")
	return l
}

// Rotate gives the log another key, made of a name.
func (l *PrivateLog) Rotate(name string) {
	seed := sha256.Sum256([]byte("docket test log\n" + l.Origin + name))
	name, id, _ := strings.Cut(VKeyOf(l.Origin, ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey)), "+")
	skey := fmt.Sprintf("PRIVATE+KEY+%s+%s+%s", name, id[:8], base64.StdEncoding.EncodeToString(append([]byte{byte(proof.Ed25519)}, seed[:]...)))
	var err error
	if l.signer, err = proof.ParseSigner(skey); err != nil {
		panic(err)
	}
}

// VKeyOf is an Ed25519 public key as a verifier key of that name (signed-note "Verifier
// keys").
func VKeyOf(name string, public []byte) string {
	typed := append([]byte{byte(proof.Ed25519)}, public...)
	id := sha256.Sum256(append([]byte(name+"\n"), typed...))
	return fmt.Sprintf("%s+%x+%s", name, id[:4], base64.StdEncoding.EncodeToString(typed))
}

// VKey is the log's verifier key.
func (l *PrivateLog) VKey() string { return l.signer.Key().String() }

// Grow adds so many leaves.
func (l *PrivateLog) Grow(n int) {
	for range n {
		if err := l.tree.Append(proof.LeafHash(fmt.Appendf(nil, "docket-customer/v1 %s %d", l.Origin, l.tree.Size()))); err != nil {
			panic(err)
		}
	}
	for _, t := range l.tree.TakeTiles() {
		at := t.ID.Index * proof.TileWidth * sha256.Size
		l.rows[t.ID.Level] = append(l.rows[t.ID.Level][:at], t.Hashes...)
	}
}

// Tree is the log as it stands.
func (l *PrivateLog) Tree() proof.Tree {
	t, err := l.tree.Tree()
	if err != nil {
		panic(err)
	}
	return t
}

// Checkpoint is the signed note of the log as it stands.
func (l *PrivateLog) Checkpoint() string {
	t := l.Tree()
	signed, err := proof.SignCheckpoint(proof.Checkpoint{Origin: l.Origin, Size: t.Size, Root: t.Root}, l.signer)
	if err != nil {
		panic(err)
	}
	return string(signed.Note())
}

// Consistency proves that the log as it stands begins with the one of a size.
func (l *PrivateLog) Consistency(from uint64) (path []string) {
	read := func(_ context.Context, ids []proof.TileID) (rows [][]byte, err error) {
		for _, id := range ids {
			at := id.Index * proof.TileWidth * sha256.Size
			rows = append(rows, l.rows[id.Level][at:][:id.Width*sha256.Size])
		}
		return rows, nil
	}
	_, hashes, err := proof.NewTileReader(read, -1).At(l.Tree()).ConsistencyProof(context.Background(), from)
	if err != nil {
		panic(err)
	}
	for _, h := range hashes {
		path = append(path, h.String())
	}
	return path
}

// Commit is a record about the log as it stands, which was at a size before; the first
// where that is absent.
func (l *PrivateLog) Commit(until record.Date, from ...uint64) *record.CustomerLog {
	c := &record.CustomerLog{Origin: l.Origin, Size: int64(l.tree.Size()), Checkpoint: l.Checkpoint(), PeriodUntil: until}
	if len(from) == 0 {
		c.VKey = l.VKey()
	} else {
		c.Consistency = l.Consistency(from[0])
	}
	return c
}
