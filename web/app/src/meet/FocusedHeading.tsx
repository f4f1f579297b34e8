// The heading of a screen that has just replaced another one: it takes the focus, so that keyboards
// and screen readers start here.

import { type ReactNode, useEffect, useRef } from "react";
import styles from "./FocusedHeading.module.css";

export function FocusedHeading({ children }: { children: ReactNode }) {
  const ref = useRef<HTMLHeadingElement>(null);
  useEffect(() => ref.current?.focus(), []);
  return <h1 ref={ref} tabIndex={-1} className={styles["heading"]}>{children}</h1>;
}
