package screening

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
)

// Source is the bytes of a list. It is read twice: for its digest, with which a report
// begins, and then row by row.
type Source struct {
	file      *os.File
	temporary bool
	named     bool // the copy has to be removed yet
	sum       string
	bytes     int64
	again     hash.Hash // of what is read row by row
}

// NewSource takes the digest of a file, which it closes in the end. What cannot be read
// twice, like a pipe, is copied to a file that nobody else can read, and that has no name
// where a file can do without one: nothing of it is left behind.
func NewSource(r io.Reader) (*Source, error) {
	s := &Source{again: sha256.New()}
	h := sha256.New()
	var to io.Writer = h
	if f, ok := r.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			s.file = f
		}
	}
	if s.file == nil {
		var err error
		if s.file, err = os.CreateTemp("", "docket-list-*"); err != nil { // 0600
			return nil, fmt.Errorf("keeping the list while it is read: %w", err)
		}
		s.temporary, s.named = true, os.Remove(s.file.Name()) != nil
		to = io.MultiWriter(h, s.file)
	}
	var err error
	if s.temporary {
		s.bytes, err = io.Copy(to, r)
	} else if _, err = s.file.Seek(0, io.SeekStart); err == nil {
		s.bytes, err = io.Copy(to, s.file)
	}
	if err == nil {
		_, err = s.file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.sum = hex.EncodeToString(h.Sum(nil))
	return s, nil
}

// Read reads the list again.
func (s *Source) Read(p []byte) (int, error) {
	n, err := s.file.Read(p)
	s.again.Write(p[:n])
	return n, err
}

// SHA256 is the digest of the list, in hexadecimal.
func (s *Source) SHA256() string { return s.sum }

// Bytes is how long the list is.
func (s *Source) Bytes() int64 { return s.bytes }

// Changed reports whether the list, read to its end, was another the second time.
func (s *Source) Changed() bool { return hex.EncodeToString(s.again.Sum(nil)) != s.sum }

// Close closes the file, and removes a copy.
func (s *Source) Close() error {
	err := s.file.Close()
	if s.named {
		err = errors.Join(err, os.Remove(s.file.Name()))
	}
	return err
}

// Head names the list, read as l, in a report.
func (s *Source) Head(l *List) InputHead {
	return InputHead{SHA256: s.sum, Bytes: s.bytes, Columns: l.Columns(), Unused: l.Unused()}
}
