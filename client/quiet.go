package client

import "fmt"

// quiet is Pebble's voice in a copy: nobody asked to hear it. Once it cannot know
// what is on the disk it must not go on; a copy comes back by replay.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}

func (quiet) Fatalf(format string, args ...any) {
	panic("the copy's database failed: " + fmt.Sprintf(format, args...))
}
