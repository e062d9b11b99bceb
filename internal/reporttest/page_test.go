package reporttest

import _ "github.com/chromedp/chromedp"
