// The notes, never over a control. They are announced elsewhere; here they are seen.

import { t } from "../i18n/t";
import { Button, IconButton } from "../ui/Button";
import { CloseIcon } from "../ui/Icon";
import { useCell } from "../ui/useCell";
import { useSession } from "./session";
import styles from "./ToastList.module.css";

export function ToastList() {
  const { toasts } = useSession();
  const list = useCell(toasts.list);
  if (list.length === 0) return null;
  return (
    <section
      aria-label={t("toast.region")}
      data-region="toasts"
      onPointerEnter={() => toasts.hold(true)}
      onPointerLeave={() => toasts.hold(false)}
      onFocus={() => toasts.hold(true)}
      onBlur={() => toasts.hold(false)}
    >
      <ul className={styles["list"]}>
      {list.map(({ kind, text, action }) => (
        <li key={kind} className={styles["toast"]}>
          <span className={styles["text"]}>{text}</span>
          {action ? <Button onPress={() => { toasts.close(kind); action.act(); }}>{action.text}</Button> : null}
          <IconButton data-control="close" name={t("toast.close")} icon={<CloseIcon />} onPress={() => toasts.close(kind)} />
        </li>
      ))}
      </ul>
    </section>
  );
}
