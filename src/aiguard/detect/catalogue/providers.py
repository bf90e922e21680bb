"""Keys without a shape of their own, which stand beside the name of the service that issued them."""

from __future__ import annotations

from typing import Final

from aiguard.detect.catalogue.naming import ALPHABET, BARE_LINK, QUOTED_LINK
from aiguard.detect.entropy import strong_value, uuid_value
from aiguard.scan import Recognizer

# Services whose keys are letters and digits and no more. Not here: services whose names stand beside content hashes (GitHub,
# npm, Docker …), and names that are ordinary words and have keys with a shape.
_SERVICES: Final = (
    "beamer|abstractapi|abuseipdb|accuweather|adafruit|adobe|airbrake|airtable|akamai|alchemy|algolia|alibaba|aliyun|amplitude|anthropic|"
    "appcues|appfollow|appsflyer|artifactory|asana|assemblyai|atlassian|auth0|autodesk|aviationstack|baremetrics|"
    "bitbucket|bitfinex|bitly|bitmex|bittrex|blockfrost|browserstack|bugsnag|buildkite|bybit|calendly|"
    "censys|chargebee|circleci|clarifai|clearbit|clickhouse|clickup|cloudant|cloudflare|cloudinary|cloudsmith|clou|codacy|"
    "codeclimate|codecov|cohere|coinbase|coinmarketcap|confluent|contentful|convertkit|coveralls|crowdin|cloudsight|datadog|"
    "deepgram|deepseek|digitalocean|discord|disqus|docusign|droneci|drone[_-]ci|dropbox|ebay|etherscan|etsy|"
    "eventbrite|exchangerate|facebook|fastly|finicity|finnhub|fireworks|flickr|flutterwave|foursquare|freemius|freshbooks|"
    "freshdesk|fullstory|geocod(?:e|io)|giphy|gitter|gocardless|godaddy|gumroad|helpscout|heroku|hetzner|honeybadger|"
    "hubspot|ibm|imgur|infura|instagram|intercom|ipinfo|ipstack|jenkins|jfrog|jira|jumpcloud|kaleyra|klaviyo|"
    "kraken|kucoin|launchdarkly|linkedin|linode|lob|logentries|loggly|logz|looker|mailchimp|mailgun|mailjet|"
    "mailmodo|mandrill|mapbox|mapquest|marketstack|mattermost|maxmind|meraki|messagebird|mistral|mixpanel|"
    "moonclerk|nasa|netlify|newrelic|new[_-]relic|newsapi|nexmo|ngc|nordigen|nvidia|nylas|nytimes|okta|onelogin|onesignal|openai|"
    "opencage|openweather(?:map)?|opsgenie|optimizely|pagerduty|paralleldots|paypal|paystack|pendo|perplexity|pinecone|"
    "pinterest|pipedrive|plaid|plivo|positionstack|postmark|privateai|prismic|pubnub|pusher|pushover|qubole|"
    "quandl|quickbase|rapidapi|raygun|razorpay|recaptcha|reddit|replicate|rollbar|salesforce|sauce(?:labs)?|scaleway|"
    "sendbird|sendgrid|sentry|serpapi|shodan|shopify|shutterstock|signalwire|sinch|slack|snowflake|snyk|"
    "softlayer|sonar(?:qube|cloud)?|sourcegraph|sparkpost|splunk|spotify|squarespace|statuspage|storyblok|strava|"
    "stripe|sumo[_-]?logic|sumo|surveymonkey|teamcity|telegram|telnyx|tencent|todoist|tomtom|travis(?:ci)?|trello|twilio|twitch|"
    "twitter|typeform|unsplash|uptimerobot|vercel|vimeo|virustotal|visualcrossing|voyage|vultr|wandb|watson|weatherapi|weatherbit|"
    "weatherstack|webex|wepay|workos|wunderground|yandex|yelp|zapier|zendesk|zenserp|zoho|zoom"
)
# Services whose keys are UUIDs.
_UUIDS: Final = (
    "heroku|snyk|messagebird|squarespace|sendbird|hubspot|freemius|postmark|opsgenie|onesignal|coinmarketcap|coinapi|exa|"
    "ipgeolocation|mailjet|npm|npmrc|nexus|sonatype|netlify|cohere|fal|heap|blockfrost|newrelic|npmjs|riot|checkly|"
    "buildkite|linkedin|yousign|zeplin"
)
_NAME: Final = r"[A-Za-z0-9_ \t.\-\[\]\"']{0,24}"
_KEYISH: Final = r"(?:key|token|secret|auth|pass|api|client[_\- ]?id|login|id)[A-Za-z0-9_.\-]{0,12}"
_UUID: Final = r"([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})"

RECOGNIZERS = (
    Recognizer(
        name="service_key",
        type="SECRET",
        pattern=rf"(?i)\b(?:[A-Za-z0-9]{{1,20}}[_\-.]){{0,3}}(?:{_SERVICES}){_NAME}(?:{QUOTED_LINK}|{BARE_LINK}){ALPHABET}",
        validate=strong_value,
        deny=("commit", "sha", "sha256", "md5", "digest", "checksum", "integrity", "etag", "revision", "public", "image", "request id"),
        context_window=32,
        boundary=False,
        not_before="(",
        base_score=0.6,
        priority=76,
        source="names of services, and how random the value is",
        examples=(
            'adobeClient := "951c71d655e3f2abf2fdeabb8063a53e"',
            "sourcegraph: 6d2fabeb6add229bc199faba28fd3efb57df0bd3",
            "netlify site: xkgt-bq1matmzguyofqkzw5-qq7k6plja1iqt-eo74",
        ),
        counter_examples=(
            "slack: general-announcements-2024",
            'stripe: "^14.2.0-beta.1"',
            "azure commit: 6d2fabeb6add229bc199faba28fd3efb57df0bd3",
        ),
    ),
    Recognizer(
        name="service_uuid",
        type="SECRET",
        pattern=rf"(?i)(?:{_UUIDS})[A-Za-z0-9_ \t.\-]{{0,16}}{_KEYISH}(?:{QUOTED_LINK}|{BARE_LINK}){_UUID}",
        validate=uuid_value,
        boundary=False,
        base_score=0.6,
        priority=76,
        source="names of services whose keys are UUIDs",
        examples=(
            'const MessageBirdClientID = "6e2d7b24-2ddd-4bcc-b697-e41459fb74c4"',
            "HEROKU_API_KEY=6e2d7b24-2ddd-4bcc-b697-e41459fb74c4",
        ),
        counter_examples=("snyk-token: 00000000-0000-0000-0000-000000000000",),
    ),
)  # fmt: skip
