import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

const TESTS = [
  "**/*.test.ts",
  "src/**/conformance/**",
  "src/**/testing/**",
  "test/**",
  "bench/**",
  "scripts/**",
];

const clock = "Time enters in src/base/clock.ts: take a Clock.";
const random = "Randomness enters in src/base/random.ts: take a Random.";
const environment = "The environment enters in src/config and src/cli: take a value.";

/** Runs of node:test register and report by themselves; their promises need no await. */
const nodeTest = { from: "package", package: "node:test", name: ["describe", "it", "suite", "test"] };

export default defineConfig(
  { ignores: ["dist/", "src/gen/", "src/format/assembly/", "bench/data/"] },
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: "error",
      "no-console": "error",
      "no-param-reassign": "error",
      "no-restricted-exports": [
        "error",
        { restrictDefaultExports: { direct: true, named: true, defaultFrom: true, namedFrom: true } },
      ],
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
      "@typescript-eslint/no-floating-promises": ["error", { allowForKnownSafeCalls: [nodeTest] }],
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        { considerDefaultExhaustiveForUnions: true },
      ],
      // An async function without await rejects where a plain one would throw: what an implementation of a seam must do.
      "@typescript-eslint/require-await": "off",
    },
  },
  {
    files: ["src/**/*.ts"],
    ignores: TESTS,
    rules: {
      "no-restricted-globals": [
        "error",
        ...["setTimeout", "setInterval"].map((name) => ({ name, message: clock })),
      ],
      "no-restricted-properties": [
        "error",
        { object: "Date", property: "now", message: clock },
        { object: "performance", property: "now", message: clock },
        { object: "process", property: "hrtime", message: clock },
        { object: "Math", property: "random", message: random },
        { object: "crypto", property: "randomUUID", message: random },
        { object: "crypto", property: "getRandomValues", message: random },
        { object: "process", property: "env", message: environment },
      ],
      "no-restricted-syntax": [
        "error",
        { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: clock },
      ],
      "no-restricted-imports": [
        "error",
        {
          paths: [
            { name: "node:timers/promises", message: clock },
            { name: "node:timers", message: clock },
            { name: "node:perf_hooks", importNames: ["performance"], message: clock },
            {
              name: "node:crypto",
              importNames: [
                "randomBytes",
                "randomFill",
                "randomFillSync",
                "randomInt",
                "randomUUID",
                "default",
              ],
              message: random,
            },
            { name: "node:process", importNames: ["env", "hrtime"], message: environment },
            {
              name: "node:console",
              message: "Output enters in src/cli: return a value, or take a reporter.",
            },
          ],
        },
      ],
    },
  },
  {
    files: ["src/base/clock.ts", "src/base/random.ts"],
    rules: {
      "no-restricted-globals": "off",
      "no-restricted-imports": "off",
      "no-restricted-properties": "off",
    },
  },
  {
    files: ["src/config/**", "src/cli/**"],
    rules: { "no-restricted-properties": "off", "no-restricted-imports": "off", "no-console": "off" },
  },
  { files: TESTS, rules: { "no-console": "off" } },
  // Declarations of what a platform has.
  { files: ["**/*.d.ts"], rules: { "@typescript-eslint/no-extraneous-class": "off" } },
);
