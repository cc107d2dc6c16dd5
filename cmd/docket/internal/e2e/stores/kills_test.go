package stores

import (
	"testing"

	"github.com/seed-53cf897a/docket/client"
)

func TestSingle(t *testing.T) {
	l := newLedger(t, "", nil, 3)
	a := l.machine("a", true)
	a.start()
	l.enrol(newClient(t, a))
	w := startWatch(l, a.url+"/checkpoint")
	load := startLoad(l, 6, a)
	for range 3 {
		load.wait(20)
		a.kill()
		a.start()
		load.wait(20)
		l.witnesses[0].kill()
		l.witnesses[0].start()
	}
	receipts := load.stop()
	check(l, newClient(t, a), receipts, w.stop(), 2)
	a.terminate()
}

var _ client.Client
