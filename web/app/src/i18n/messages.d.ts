declare module "virtual:messages" {
  import type { MessageFormatElement } from "@formatjs/icu-messageformat-parser";

  const messages: Record<keyof typeof import("../../locales/en.json"), MessageFormatElement[]>;
  export default messages;
}
