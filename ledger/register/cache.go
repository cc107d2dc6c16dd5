package register

// rowCache keeps the threads that were used last: at most twice limit of them, whose rows
// take at most twice bytes, but for the last one put. It has two generations: what is
// used while it is in the old one moves to the young one, and when that is full the
// old one is dropped.
type rowCache struct {
	maxRows, maxBytes int
	young, old        map[string]*ThreadRow
	youngBytes        int // bytes of young
}

// rowOverhead is what a row in memory takes beside its text, about.
const rowOverhead = 512

func newRowCache(limit, bytes int) *rowCache {
	return &rowCache{maxRows: limit, maxBytes: bytes, young: make(map[string]*ThreadRow)}
}

func (c *rowCache) get(thread string) *ThreadRow {
	if row := c.young[thread]; row != nil {
		return row
	}
	row := c.old[thread]
	if row != nil {
		c.put(row)
	}
	return row
}

func (c *rowCache) put(row *ThreadRow) {
	if was := c.young[row.Thread]; was != nil {
		c.youngBytes -= was.bytes + rowOverhead
		delete(c.young, row.Thread)
	}
	size := row.bytes + rowOverhead
	if len(c.young) >= c.maxRows || len(c.young) > 0 && c.youngBytes+size > c.maxBytes {
		c.old, c.young, c.youngBytes = c.young, make(map[string]*ThreadRow), 0
	}
	c.young[row.Thread] = row
	c.youngBytes += size
}
