// Fields: a line of text, a choice, a tick. The choice is the browser's own, because every phone and
// every screen reader knows it.

import { type ReactNode, type Ref, useId } from "react";
import { Button } from "react-aria-components/Button";
import { FieldError } from "react-aria-components/FieldError";
import { Input } from "react-aria-components/Input";
import { Label } from "react-aria-components/Label";
import { TextField } from "react-aria-components/TextField";
import styles from "./fields.module.css";

interface LineProps {
  label: string;
  value: string;
  onChange(value: string): void;
  error?: string | null;
  maxLength?: number;
  autoComplete?: string;
  hiddenLabel?: boolean;
  placeholder?: string;
  inputRef?: Ref<HTMLInputElement>;
}

export function Line({ label, error, hiddenLabel, inputRef, placeholder, autoComplete = "off", ...props }: LineProps) {
  return (
    <TextField {...props} autoComplete={autoComplete} isInvalid={Boolean(error)} className={styles["field"] ?? ""}>
      <Label className={hiddenLabel ? "visually-hidden" : (styles["label"] ?? "")}>{label}</Label>
      <Input ref={inputRef ?? null} placeholder={placeholder ?? ""} className={styles["input"] ?? ""} />
      <FieldError className={styles["error"] ?? ""}>{error}</FieldError>
    </TextField>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  options: readonly { value: string; text: string }[];
  /** What came of the last choice, if anything is to be said of it. */
  hint?: string;
  onChange(value: string): void;
}

export function Choice({ label, value, options, hint = "", onChange }: ChoiceProps) {
  const id = useId();
  return (
    <div className={styles["field"]}>
      <label className={styles["label"]} htmlFor={id}>{label}</label>
      <select
        id={id}
        className={styles["select"]}
        value={value}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => onChange(event.target.value)}
      >
        {options.map((option) => <option key={option.value} value={option.value}>{option.text}</option>)}
      </select>
      {hint ? <span id={`${id}-hint`} className={styles["error"]}>{hint}</span> : null}
    </div>
  );
}

/** A sentence in a coloured box, with room for a button. */
export function Note({ tone, children }: { tone: "info" | "warning" | "danger"; children: ReactNode }) {
  return <div className={`${styles["note"]} ${styles[tone]}`}>{children}</div>;
}

/** A word that acts, inside a note. */
export function NoteAction({ children, onPress }: { children: ReactNode; onPress(): void }) {
  return <Button className={styles["action"] ?? ""} onPress={onPress}>{children}</Button>;
}
