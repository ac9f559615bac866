import { type ConfigOf, defineConfig, variable } from "@weft/chassis";

/** What payments reads from its environment, beside what every service does. */
export const paymentsConfig = defineConfig({
  DATABASE_URL: variable.secret({
    doc: "The payments' own database.",
    form: "a URL such as postgres://user:password@host:5432/payments",
    check: (text) => (/^postgres(ql)?:\/\//.test(text) && URL.canParse(text) ? undefined : "is not a postgres:// URL"),
  }),
  WEFT_DATA_KEY: variable.secretKey({
    doc: "Key of remembered requests: their hashes, and replies that must not be readable.",
    bytes: 32,
  }),
  PROVIDER_TIMEOUT: variable.duration({
    doc: "How long to wait for the payment provider; then the outcome is unknown until it is asked about.",
    default: "2s",
  }),
  SETTLE_EVERY: variable.duration({
    doc: "How often to look for deeds whose outcome nobody has asked about for half a minute.",
    default: "5s",
  }),
  SETTLE_ALARM_AFTER: variable.duration({
    doc: "How long a deed may be open before an alarm is raised.",
    default: "15m",
  }),
  ABANDON_AFTER: variable.duration({
    doc: "How long an authorization may be undecided, or its challenge unanswered, before it is voided.",
    default: "1h",
  }),
  TOMBSTONE_RETENTION: variable.duration({
    doc: "How long a key stays forbidden that was undone before it was used: longer than any call can be late.",
    default: "30d",
  }),
  SIMULATOR_LATE_AFTER: variable.duration({
    doc: "How long the payment simulator takes to answer for its card that is answered for late.",
    default: "6s",
  }),
});

export type PaymentsConfig = ConfigOf<typeof paymentsConfig>;
