package server

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"time"
)

// Files of snapshots that are handed out at once, and those to one address: each is held for as long as
// its reader takes, and one replica fetches several.
const (
	maxDownloads        = 64
	maxAddressDownloads = 8
)

// checkSnapshot refuses every part of a snapshot where there is none, and while anything is withheld: the
// rows say what that says.
func (s *Server) checkSnapshot(x *request) error {
	if err := x.parseParams().firstFault(); err != nil {
		return err
	}
	if s.cfg.Snapshots == nil || s.cfg.Snapshots.Newest() == nil {
		return newProblem(problemNotFound, "this server hands out no snapshot of its register")
	}
	if list := s.cfg.Ledger.withheld.now(); len(list) > 0 {
		return withheldProblem(list, "a snapshot of the register has what it says, so that none is handed out: a replica replays the log")
	}
	return nil
}

// snapshot is GET /v1/snapshot: the signed manifest of the newest snapshot of the register.
func (s *Server) snapshot(x *request) error {
	if err := s.checkSnapshot(x); err != nil {
		return err
	}
	x.Writer.Header().Set("Cache-Control", cacheRevalidate)
	return x.answerBytes(http.StatusOK, typeText, s.cfg.Snapshots.Newest().Note)
}

// snapshotFile is GET /v1/snapshot/{size}/{file}, with ranges: whoever was cut off goes on. A snapshot that
// is signed anew at the same size, with another key or of a register that was made anew, has other files
// of the same names: what a cache keeps is asked for again.
func (s *Server) snapshotFile(x *request) error {
	if err := s.checkSnapshot(x); err != nil {
		return err
	}
	size, err := strconv.ParseUint(x.Param("size"), 10, 63)
	if err != nil {
		return newProblem(problemNotFound, "there is no such snapshot")
	}
	leave, err := s.downloads.enter(s.address(x), downloadRetryTime)
	if err != nil {
		return err
	}
	defer leave()
	f, signed, err := s.cfg.Snapshots.Open(size, x.Param("file"))
	if errors.Is(err, fs.ErrNotExist) {
		return newProblem(problemNotFound, "there is no such snapshot, or a newer one has taken its place: see /v1/snapshot")
	} else if err != nil {
		return err
	}
	defer f.Close()
	h := x.Writer.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", cacheRevalidate)
	h.Set("ETag", fmt.Sprintf(`"%x"`, signed.SHA256))
	http.ServeContent(x.Writer, x.Request, "", time.Time{}, io.NewSectionReader(f, 0, int64(signed.Bytes)))
	return nil
}

// downloadRetryTime is when who has no place among the downloads is to ask again.
const downloadRetryTime = 5 * time.Second
