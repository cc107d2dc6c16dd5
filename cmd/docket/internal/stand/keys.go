package stand

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/seed-53cf897a/docket/cmd/docket/internal/skeys"
	"github.com/seed-53cf897a/docket/ledger/proof"
	"github.com/seed-53cf897a/docket/ledger/record"
	"github.com/seed-53cf897a/docket/witness"
)

var keyFiles = []skeys.File{
	{Name: "witness-ed25519.key", Algorithm: proof.CosignatureEd25519},
	{Name: "witness-mldsa44.key", Algorithm: proof.MLDSA44},
}

// keptFile says where a witness's key is kept, if not in files.
const keptFile = "witness.kms"

// kept is what keptFile holds.
type kept struct {
	Name string `json:"name"`
	URI  string `json:"uri"`
}

// keeperTimeout bounds one signature by a KMS: a log waits for it.
const keeperTimeout = 10 * time.Second

// CreateKeys makes the witness's keys in dir, or keeps those that are there if they
// have the same name. With a KMS URI it makes none, and notes where the key is: an
// Ed25519 key, since no KMS knows ML-DSA-44 yet.
func CreateKeys(ctx context.Context, dir, name, uri string) ([]witness.Key, error) {
	if uri == "" {
		if err := skeys.Create(dir, name, keyFiles); err != nil {
			return nil, err
		}
		return LoadKeys(ctx, dir)
	}
	k := kept{name, uri}
	keys, err := k.open(ctx)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(k)
	if err != nil {
		return nil, err
	}
	return keys, skeys.Write(dir, keptFile, append(text, '\n'))
}

// LoadKeys reads the witness's keys, or reaches the one that a KMS keeps;
// [skeys.ErrNone] if there are none.
func LoadKeys(ctx context.Context, dir string) ([]witness.Key, error) {
	file := filepath.Join(dir, "keys", keptFile)
	if text, err := os.ReadFile(file); err == nil {
		var k kept
		if err := json.Unmarshal(text, &k); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		return k.open(ctx)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	texts, err := skeys.Load(dir, keyFiles)
	if err != nil {
		return nil, err
	}
	var keys []witness.Key
	for i, text := range texts {
		k, err := proof.ParseCosigner(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", keyFiles[i].Name, err)
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// open reaches the key.
func (k kept) open(ctx context.Context) ([]witness.Key, error) {
	signer, err := record.KMSSigner(ctx, k.URI)
	if err != nil {
		return nil, err
	}
	public, ok := signer.Key().Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("key %s is %s: a witness's is Ed25519", k.URI, signer.Key().Algorithm())
	}
	ctx = context.WithoutCancel(ctx)
	c, err := proof.NewCosigner(k.Name, public, func(message []byte) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, keeperTimeout)
		defer cancel()
		return signer.SignMessage(ctx, message)
	})
	if err != nil {
		return nil, err
	}
	return []witness.Key{c}, nil
}
