// A menu under a button, or under any element that asked for one.

import type { ReactElement, RefObject } from "react";
import { Menu as AriaMenu, MenuItem, MenuTrigger } from "react-aria-components/Menu";
import { Popover } from "react-aria-components/Popover";
import { Separator } from "react-aria-components/Separator";
import styles from "./overlays.module.css";

export interface MenuEntry {
  id: string;
  text: string;
  danger?: boolean;
  /** A line above it. */
  apart?: boolean;
  act(): void;
}

function Items({ label, entries, onClose }: { label: string; entries: readonly MenuEntry[]; onClose?: () => void }) {
  return (
    <AriaMenu
      aria-label={label}
      className={styles["menu"] ?? ""}
      autoFocus="first"
      onAction={(key) => entries.find(({ id }) => id === key)?.act()}
      {...(onClose ? { onClose } : {})}
    >
      {entries.flatMap((entry) => [
        ...(entry.apart ? [<Separator key={`${entry.id}-line`} className={styles["line"] ?? ""} />] : []),
        <MenuItem key={entry.id} id={entry.id} className={`${styles["item"]} ${entry.danger ? styles["danger"] : ""}`}>
          {entry.text}
        </MenuItem>,
      ])}
    </AriaMenu>
  );
}

/** `trigger` is the button; the menu opens on press, Enter, Space and arrow down. */
export function MenuButton({ label, trigger, entries }: { label: string; trigger: ReactElement; entries: readonly MenuEntry[] }) {
  return (
    <MenuTrigger>
      {trigger}
      <Popover className={styles["popover"] ?? ""}><Items label={label} entries={entries} /></Popover>
    </MenuTrigger>
  );
}

/** A menu at an element that is not React's, such as a tile's button. */
export function MenuAt({ label, anchor, entries, onClose }: {
  label: string; anchor: RefObject<HTMLElement | null>; entries: readonly MenuEntry[]; onClose(): void;
}) {
  return (
    <Popover isOpen triggerRef={anchor} className={styles["popover"] ?? ""} onOpenChange={(open) => { if (!open) onClose(); }}>
      <Items label={label} entries={entries} onClose={onClose} />
    </Popover>
  );
}
