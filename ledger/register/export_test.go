package register

// Carried is how many drafts this one reads through, for tests.
func (d *Draft) Carried() int { return len(d.below) }
