package fetch

import (
	"context"
	"fmt"
	"net/http"
)

// Send posts a body under headers of the caller's, such as a signed notice. Any status of success will do; what is
// answered is not read.
func (c *Client) Send(ctx context.Context, rawURL string, header http.Header, body []byte) error {
	response, err := c.ask(ctx, http.MethodPost, rawURL, header.Clone(), body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s answered %s", response.Request.URL.Host, response.Status)
	}
	return nil
}
