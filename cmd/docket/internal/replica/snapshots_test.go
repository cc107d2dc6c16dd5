package replica

import (
	"errors"
	"fmt"
	"testing"

	"github.com/seed-53cf897a/docket/client"
)

// A snapshot that is wrong ends the replica, whatever else is said beside it; a source that is
// away does not.
func TestWrongSnapshotEnds(t *testing.T) {
	wrong := &client.SnapshotError{Wrong: 1}
	for _, err := range []error{wrong, errors.Join(wrong), fmt.Errorf("replaying: %w", wrong)} {
		if !isWrong(err) {
			t.Errorf("%v: it would be served on", err)
		}
	}
	for _, err := range []error{nil, errors.New("away")} {
		if isWrong(err) {
			t.Errorf("%v ends it", err)
		}
	}
}
