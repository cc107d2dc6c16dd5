package keydir

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"time"

	"github.com/seed-53cf897a/docket/ledger/record/draft"
)

// kmsTimeout bounds one signature by a KMS: a log waits for it.
const kmsTimeout = 10 * time.Second

// OpenKMS reaches the key that a KMS keeps under a URI: an Ed25519 key, since no KMS knows
// ML-DSA-44 yet. ctx bounds this call alone; each signature has ten seconds of its own.
func OpenKMS(ctx context.Context, uri string) (public ed25519.PublicKey, sign func(message []byte) ([]byte, error), err error) {
	signer, err := draft.LoadKMSSigner(ctx, uri)
	if err != nil {
		return nil, nil, err
	}
	public, ok := signer.Key().Public().(ed25519.PublicKey)
	if !ok {
		return nil, nil, fmt.Errorf("key %s is %s: one that signs checkpoints is Ed25519", uri, signer.Key().Algorithm())
	}
	ctx = context.WithoutCancel(ctx)
	return public, func(message []byte) ([]byte, error) {
		ctx, cancel := context.WithTimeout(ctx, kmsTimeout)
		defer cancel()
		return signer.SignMessage(ctx, message)
	}, nil
}
