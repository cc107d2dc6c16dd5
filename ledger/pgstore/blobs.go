package pgstore

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/seed-53cf897a/docket/ledger"
)

// PutBlob implements [ledger.Shared].
func (s *Store) PutBlob(ctx context.Context, name string, blob []byte) error {
	if err := ledger.CheckBlobName(name); err != nil {
		return err
	}
	if len(blob) > ledger.MaxBlobBytes {
		return fmt.Errorf("blob %s of %d bytes: %d are the most", name, len(blob), ledger.MaxBlobBytes)
	}
	return s.retry(ctx, 0, func(c *session) error {
		put := func() error {
			_, err := c.conn.Exec(ctx, `INSERT INTO blobs VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET blob = excluded.blob`, name, append([]byte{}, blob...))
			return err
		}
		err := put()
		if isNew(err) {
			if err = s.makeTables(c); err == nil {
				err = put()
			}
		}
		if err != nil {
			return fmt.Errorf("putting the blob %s: %w", name, err)
		}
		return nil
	})
}

// Blob implements [ledger.Shared].
func (s *Store) Blob(ctx context.Context, name string) ([]byte, error) {
	if err := ledger.CheckBlobName(name); err != nil {
		return nil, err
	}
	return readOne(ctx, s, "blob "+name, `SELECT blob FROM blobs WHERE name = $1`, name)
}

// ListBlobs implements [ledger.Shared].
func (s *Store) ListBlobs(ctx context.Context, prefix string) ([]string, error) {
	return read(ctx, s, func(c *session) ([]string, error) {
		rows, _ := c.conn.Query(ctx, `SELECT name FROM blobs WHERE starts_with(name, $1) ORDER BY name`, prefix) // rows have its error
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		switch {
		case isNew(err):
			return nil, nil
		case err != nil:
			return nil, fmt.Errorf("listing blobs: %w", err)
		}
		return names, nil
	})
}

// DeleteBlob implements [ledger.Shared].
func (s *Store) DeleteBlob(ctx context.Context, name string) error {
	if err := ledger.CheckBlobName(name); err != nil {
		return err
	}
	return s.retry(ctx, 0, func(c *session) error {
		if _, err := c.conn.Exec(ctx, `DELETE FROM blobs WHERE name = $1`, name); err != nil && !isNew(err) {
			return fmt.Errorf("deleting the blob %s: %w", name, err)
		}
		return nil
	})
}
