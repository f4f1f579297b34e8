// Buttons. `Button` carries words; `ControlButton` is one of the meeting's controls: an icon over a
// short word, its full name for everybody who can't see it. Both keep their size when they change.

import type { ReactNode, Ref } from "react";
import { Button as AriaButton, type ButtonProps as AriaButtonProps } from "react-aria-components/Button";
import styles from "./Button.module.css";

interface ButtonProps extends Omit<AriaButtonProps, "className" | "style" | "children"> {
  children: ReactNode;
  tone?: "plain" | "primary" | "danger" | "quiet";
  ref?: Ref<HTMLButtonElement>;
}

export function Button({ tone = "plain", ...props }: ButtonProps) {
  return <AriaButton {...props} className={`${styles["button"]} ${styles[tone]}`} />;
}

interface ControlButtonProps extends Omit<AriaButtonProps, "className" | "style" | "children" | "aria-label"> {
  /** The accessible name; tests and scripts rely on it. */
  name: string;
  /** The visible word; the name when absent. */
  word?: string;
  icon: ReactNode;
  /** A number or a dot at the corner. */
  badge?: string | undefined;
  tone?: "plain" | "off" | "on" | "leave";
  ref?: Ref<HTMLButtonElement>;
}

export function ControlButton({ name, word, icon, badge, tone = "plain", ...props }: ControlButtonProps) {
  return (
    <AriaButton {...props} aria-label={name} className={`${styles["control"]} ${styles[`control-${tone}`]}`}>
      {icon}
      <span aria-hidden="true" className={styles["word"]}>{word ?? name}</span>
      {badge === undefined ? null : <span aria-hidden="true" className={styles["badge"]}>{badge}</span>}
    </AriaButton>
  );
}

interface IconButtonProps extends Omit<AriaButtonProps, "className" | "style" | "children" | "aria-label"> {
  name: string;
  icon: ReactNode;
  ref?: Ref<HTMLButtonElement>;
}

/** A small square button whose icon everybody knows, such as a closing cross. */
export function IconButton({ name, icon, ...props }: IconButtonProps) {
  return <AriaButton {...props} aria-label={name} className={styles["icon"] ?? ""}>{icon}</AriaButton>;
}
