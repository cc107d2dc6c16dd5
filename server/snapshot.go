package server

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"time"
)

// maxDownloads is how many files of snapshots are handed out at once: each reads the disk for as long as
// its reader takes.
const maxDownloads = 8

// snapshot is GET /v1/snapshot: the signed manifest of the newest snapshot of the register.
func (s *Server) snapshot(x *request) error {
	if err := x.parseParams().firstFault(); err != nil {
		return err
	}
	if s.cfg.Snapshots == nil || s.cfg.Snapshots.Newest() == nil {
		return newProblem(problemNotFound, "this server hands out no snapshot of its register")
	}
	x.Writer.Header().Set("Cache-Control", cacheRevalidate)
	return x.answerBytes(http.StatusOK, typeText, s.cfg.Snapshots.Newest().Note)
}

// snapshotFile is GET /v1/snapshot/{size}/{file}, with ranges: whoever was cut off goes on.
func (s *Server) snapshotFile(x *request) error {
	if err := x.parseParams().firstFault(); err != nil {
		return err
	}
	size, err := strconv.ParseUint(x.Param("size"), 10, 63)
	if err != nil || s.cfg.Snapshots == nil {
		return newProblem(problemNotFound, "there is no such snapshot")
	}
	f, bytes, err := s.cfg.Snapshots.Open(size, x.Param("file"))
	if errors.Is(err, fs.ErrNotExist) {
		return newProblem(problemNotFound, "there is no such snapshot, or a newer one has taken its place: see /v1/snapshot")
	} else if err != nil {
		return err
	}
	defer f.Close()
	h := x.Writer.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", cacheImmutable)
	h.Set("ETag", `"`+x.Param("size")+"-"+x.Param("file")+`"`)
	http.ServeContent(x.Writer, x.Request, "", time.Time{}, io.NewSectionReader(f, 0, bytes))
	return nil
}
