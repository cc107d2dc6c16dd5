package pgstore

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/seed-53cf897a/docket/ledger"
	"github.com/seed-53cf897a/docket/ledger/proof"
)

// formatVersion is that of the tables. An opening of a later one is refused.
const formatVersion = 1

// ErrLaterVersion: the store was written by a later version of docket.
var ErrLaterVersion = errors.New("upgrade docket")

// tables makes a new store. Three rows are
// swapped: each has the epoch of who may, a fence, which is raised when an outcome is in doubt, so
// that what is still on its way comes too late, and how often it was swapped. Hashes and entries are kept as they
// are: hashes do not compress, and entries are small.
const tables = `
	SELECT pg_advisory_xact_lock(hashtext('docket'));
	CREATE SCHEMA IF NOT EXISTS %[1]s;
	CREATE TABLE head (
		one boolean PRIMARY KEY DEFAULT true CHECK (one), epoch bigint NOT NULL, fence bigint NOT NULL, swaps bigint NOT NULL,
		size bigint NOT NULL, root bytea NOT NULL,
		format integer NOT NULL, holder text NOT NULL, sealed text NOT NULL, synchronous boolean NOT NULL);
	CREATE TABLE published (
		one boolean PRIMARY KEY DEFAULT true CHECK (one), epoch bigint NOT NULL, fence bigint NOT NULL, swaps bigint NOT NULL, note bytea NOT NULL);
	CREATE TABLE archived (
		one boolean PRIMARY KEY DEFAULT true CHECK (one), epoch bigint NOT NULL, fence bigint NOT NULL, swaps bigint NOT NULL, count bigint NOT NULL);
	CREATE TABLE entries (index bigint PRIMARY KEY, entry bytea NOT NULL);
	CREATE TABLE tiles (level smallint, index bigint, hashes bytea NOT NULL, PRIMARY KEY (level, index));
	CREATE TABLE archive (number bigint PRIMARY KEY, blob bytea NOT NULL);
	CREATE TABLE blobs (name text COLLATE "C" PRIMARY KEY, blob bytea NOT NULL);
	ALTER TABLE tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;
	INSERT INTO head VALUES (true, 0, 0, 0, 0, '\x%[2]x', %[3]d, '', '', false);
	INSERT INTO published VALUES (true, 0, 0, 0, '');
	INSERT INTO archived VALUES (true, 0, 0, 0, 0)`

// makeTables makes a new store. Where only some of its tables are, they are what is left of one.
func (s *Store) makeTables(c *session) error {
	root := proof.EmptyRoot()
	sql := fmt.Sprintf(tables, pgx.Identifier{s.schema}.Sanitize(), root[:], formatVersion)
	_, err := c.conn.PgConn().Exec(c.ctx, sql).ReadAll() // at once, hence one transaction
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "42P07" { // duplicate_table: of another process, or left over
		var made bool
		if err := c.row(`SELECT to_regclass('head') IS NOT NULL`).Scan(&made); err != nil || made {
			return err
		}
		err = fmt.Errorf("%w: the table head is missing, and others are there: %w", ledger.ErrCorrupt, err)
	}
	if err != nil {
		return fmt.Errorf("making the tables in the schema %s: %w", s.schema, err)
	}
	return nil
}

// readFormat refuses tables that this version does not know.
func (s *Store) readFormat(c *session) error {
	var format int
	err := c.row(`SELECT format FROM head`).Scan(&format)
	switch {
	case isNew(err):
		return nil
	case err != nil:
		return fmt.Errorf("reading its format: %w", lost(err))
	case format > formatVersion:
		return fmt.Errorf("it is of format %d, and this version of docket knows no later one than %d: %w", format, formatVersion, ErrLaterVersion)
	}
	return nil
}
