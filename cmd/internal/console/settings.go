package console

import (
	"net/http"
	"time"
)

type settingsPage struct {
	frame
	Expires time.Time // of the session, if it is not idle before
}

func (c *Console) showSettings(w http.ResponseWriter, r *http.Request, v view) {
	p := &settingsPage{c.framed(r, v, "settings", v.word("nav-settings")), v.session.expires}
	c.render(w, r, v, http.StatusOK, "settings", p)
}
