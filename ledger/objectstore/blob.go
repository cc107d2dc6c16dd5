package objectstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/seed-53cf897a/docket/ledger"
)

// PutBlob implements [ledger.Shared].
func (s *Store) PutBlob(ctx context.Context, name string, blob []byte) error {
	if err := ledger.CheckBlobName(name); err != nil {
		return err
	}
	if len(blob) > ledger.MaxBlobBytes {
		return fmt.Errorf("the blob %s has %d bytes, and may have %d", name, len(blob), ledger.MaxBlobBytes)
	}
	return s.bucket.write(ctx, s.blobKey(name), blob, headers{})
}

// Blob implements [ledger.Shared].
func (s *Store) Blob(ctx context.Context, name string) ([]byte, error) {
	if err := ledger.CheckBlobName(name); err != nil {
		return nil, err
	}
	o, err := s.bucket.read(ctx, s.blobKey(name), ledger.MaxBlobBytes)
	if errors.Is(err, errNoObject) {
		return nil, fmt.Errorf("%w: the blob %s", ledger.ErrMissing, name)
	}
	return o.data, err
}

// ListBlobs implements [ledger.Shared].
func (s *Store) ListBlobs(ctx context.Context, prefix string) ([]string, error) {
	keys, err := s.bucket.all(ctx, s.blobKey(prefix))
	if err != nil {
		return nil, fmt.Errorf("listing the blobs: %w", err)
	}
	var names []string
	for _, key := range keys {
		if name, ok := strings.CutPrefix(key, s.blobKey("")); ok && ledger.CheckBlobName(name) == nil {
			names = append(names, name)
		}
	}
	return names, nil
}

// DeleteBlob implements [ledger.Shared].
func (s *Store) DeleteBlob(ctx context.Context, name string) error {
	if err := ledger.CheckBlobName(name); err != nil {
		return err
	}
	return again(ctx, func() error { return s.bucket.remove(ctx, s.blobKey(name)) })
}

func (s *Store) blobKey(name string) string { return s.private("blobs/" + name) }
