package screening

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seed-53cf897a/docket/ledger/disk"
)

// PartialSuffix is what the name of a report that is not whole ends in.
const PartialSuffix = ".partial"

// ErrInUse: another process writes that report.
var ErrInUse = errors.New("another process is writing it")

// ReportFile is a report that is being written, under another name until it is whole. A
// crash leaves what was written up to the last mark, and the next run goes on from there. A
// file that is whole is never written over: where there is one, the report is compared with
// it.
type ReportFile struct {
	name    string
	file    *os.File // of the part; nil where the whole one is there
	lock    vfs.File
	out     *bufio.Writer
	whole   *Comparer
	opened  *os.File // the whole one
	Partial *Partial // what an earlier run has written; nil if nothing
}

// OpenReportFile begins a report, or goes on with it. An [OtherReportError] says that a
// report of that name is there, whole or in part, and has another head.
func OpenReportFile(name string, head Head) (*ReportFile, error) {
	f := &ReportFile{name: name}
	opened, err := os.Open(name)
	if err == nil {
		return f, f.compareWith(opened, head)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if f.file, err = os.OpenFile(name+PartialSuffix, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, err
	}
	if err := f.begin(head); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *ReportFile) begin(head Head) (err error) {
	if f.lock, err = vfs.Default.Open(f.file.Name()); err != nil {
		return err
	}
	if held, _ := disk.TryLockExclusive(f.lock); held {
		return fmt.Errorf("%s: %w", f.file.Name(), ErrInUse)
	}
	if f.Partial, err = readPartial(f.file, head); err != nil {
		return err
	}
	if err = f.file.Truncate(f.Partial.goesOn()); err != nil {
		return err
	}
	if _, err = f.file.Seek(f.Partial.goesOn(), io.SeekStart); err != nil {
		return err
	}
	f.out = bufio.NewWriter(f.file)
	return nil
}

func (f *ReportFile) compareWith(whole *os.File, head Head) error {
	want, err := EncodeLine(head)
	if err != nil {
		return errors.Join(err, whole.Close())
	}
	theirs, line, err := ReadHead(bufio.NewReader(whole))
	if err == nil && !bytes.Equal(line, want) {
		err = &OtherReportError{head.Differences(theirs)}
	}
	if err == nil {
		_, err = whole.Seek(0, io.SeekStart)
	}
	if err != nil {
		return errors.Join(err, whole.Close())
	}
	f.opened, f.whole = whole, &Comparer{Report: bufio.NewReader(whole)}
	return nil
}

// Write writes one line, or compares it with the report that is there.
func (f *ReportFile) Write(line []byte) (int, error) {
	if f.whole != nil {
		return f.whole.Write(line)
	}
	return f.out.Write(line)
}

// Marked makes durable what was written.
func (f *ReportFile) Marked() error {
	if f.whole != nil {
		return nil
	}
	if err := f.out.Flush(); err != nil {
		return err
	}
	return f.file.Sync()
}

// Finish gives the report its name, or has compared it to its end; known: it was there.
func (f *ReportFile) Finish() (known bool, err error) {
	if f.whole != nil {
		return true, f.whole.Close()
	}
	if err := f.Marked(); err != nil {
		return false, err
	}
	err = disk.PlaceNew(vfs.Default, f.file.Name(), f.name)
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("%s %w", f.name, disk.ErrOtherContent)
	}
	return false, err
}

// Discard removes what was written of a report that is not whole.
func (f *ReportFile) Discard() error {
	if f.whole != nil {
		return nil
	}
	return os.Remove(f.file.Name())
}

// Close closes the file, whole or not: what was written stays.
func (f *ReportFile) Close() (err error) {
	if f.opened != nil {
		return f.opened.Close()
	}
	if f.out != nil {
		err = f.out.Flush()
	}
	if f.lock != nil {
		err = errors.Join(err, f.lock.Close())
	}
	return errors.Join(err, f.file.Close())
}
